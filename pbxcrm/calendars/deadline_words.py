"""The words of deadlines in English, Ukrainian and Russian, in the cases in which people use them. Lower case, ``ё`` as ``е``.

Words with an apostrophe are also known without it.
"""


def _known(**words: str) -> dict[str, str]:
    return {form: meaning for meaning, said in words.items() for word in said.split() for form in _forms(word)}


def _listed(rows: tuple[str, ...], first: int = 0) -> dict[str, int]:
    return {form: number for number, row in enumerate(rows, first) for word in row.split() for form in _forms(word)}


def _written(rows: tuple[str, ...], number: str) -> dict[str, str]:
    """The same from 1 on, with the number as it is written in ``number``."""
    return {form: number.format(value) for form, value in _listed(rows, first=1).items()}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _forms(word: str) -> tuple[str, ...]:
    return (word, word.replace("'", "")) if "'" in word else (word,)


UNITS = _known(
    minutes="m min mins minute minutes хв хвилин хвилину хвилини хвилина м мин минут минуту минуты минута",
    hours="h hr hrs hour hours г год годин годину години година годині ч час часа часов часу",
    days="d day days day's д дн день дні днів дня дней дню",
    weeks="w week weeks week's тиж тижд тиждень тижні тижнів тижня тижню нед неделю недели недель неделя неделе",
    months="month months month's місяць місяці місяців місяця місяцю міс місяці месяце месяц месяца месяцев месяцу мес",
    years="year years рік року роки років года лет",
)
HOUR_OR_YEAR = "год"  # Ukrainian hours after a number, a Russian year without one: через год
DAYS = _known(
    today="today tonight сьогодні сегодня",
    tomorrow="tomorrow tmr tmrw завтра завтрашній завтрашнего",
    after="післязавтра послезавтра позавтра",
)
PARTS = _known(
    morning="morning early рано рано-вранці спозаранку зранку вранці уранці ранок ранку ранком утром утра утро утру",
    noon="noon midday опівдні полудень полудня полудню полдень полудне полдня",
    lunch="lunch lunchtime обід обіду обіді обідом обед обеда обеду обедом",
    afternoon="afternoon вдень удень днем пополудні",
    evening="evening tonight увечері ввечері вечір вечора вечору вечером вечера вечер вечеру",
    midnight="midnight опівночі полночь полуночи полночи",
    close="eod cob",
)
END = _set("end кінця кінець кінцю кінці конца конец концу конце")
AFTERWARDS = _set("after past після по после")  # before lunch or noon: after it
BY_DAY, BY_NIGHT = frozenset({"дня", "днем", "дню"}), frozenset({"ночі", "ночи", "night"})  # after a clock time
OCLOCK = frozenset({"o'clock", "oclock"})
WEEKDAYS = _listed(
    (
        "mon monday mondays пн пон понеділок понеділка понеділку понедельник понедельника понедельнику",
        "tue tues tuesday вт вівторок вівторка вівторку вторник вторника вторнику",
        "wed wednesday ср середа середу середи середі среда среду среды среде",
        "thu thur thurs thursday чт четвер четверга четвергу четверг",
        "fri friday пт п'ятниця п'ятницю п'ятниці пятниця пятницю пятница пятницу пятницы пятнице",
        "sat saturday сб субота суботу суботи суботі суббота субботу субботы субботе",
        "sun sunday нд неділя неділю неділі вс воскресенье воскресенья воскресенью",
    )
)
MONTHS = _listed(
    (
        "jan january січ січня січень янв января январь",
        "feb february лют лютого лютий фев февр февраля февраль",
        "mar march бер березня березень мар марта март",
        "apr april кві квіт квітня квітень апр апреля апрель",
        "may тра трав травня травень мая май",
        "jun june чер черв червня червень июн июня июнь",
        "jul july лип липня липень июл июля июль",
        "aug august сер серп серпня серпень авг августа август",
        "sep sept september вер верес вересня вересень сен сент сентября сентябрь",
        "oct october жов жовт жовтня жовтень окт октября октябрь",
        "nov november лис лист листопада листопад ноя нояб ноября ноябрь",
        "dec december гру груд грудня грудень дек декабря декабрь",
    ),
    first=1,
)
NEXT = _set(
    "next following наступний наступного наступної наступну наступна наступному наступним "
    "следующий следующего следующей следующую следующая следующем следующему"
)
THIS = _set("this цей цього цьому цієї цій цю ця цим этот этого этому этой эту эта этом текущей текущего поточного")
WORKING = _set(
    "working work робочий робочого робочі робочих робочому рабочий рабочего рабочих рабочие рабочему рабочей робочої"
)
WITHIN = _set("in within через за протягом впродовж течение")
DURING = _set("during протягом впродовж течение")  # … the day
HALF = _set("half пів полчаса півгодини пол половина половині половине")
HALF_AN_HOUR = frozenset({"полчаса", "півгодини"})
QUARTER = _set("quarter чверть четверть четверти")
LESS = frozenset({"без"})  # без четверти четыре
AND_HALF = frozenset({"півтори", "полтора", "полутора"})
ONE = _set("a an one один одну одна одной")
#: Number words -> digits.
NUMBERS = {
    form: digits
    for digits, said in (
        ("2", "two two-hour couple pair пара пару два две дві двое двох двух двом двум"),
        ("3", "three три трьох трех трьом трем"),
        ("4", "four чотири четыре чотирьох чотирьом четырех четырем"),
        ("5", "five п'ять пять п'яти пяти"),
        ("6", "six шість шесть шести"),
        ("7", "seven сім семь семи"),
        ("8", "eight вісім восемь восьми"),
        ("9", "nine дев'ять девять дев'яти девяти"),
        ("10", "ten десять десяти"),
        ("11", "eleven одинадцять одиннадцать одинадцяти одиннадцати"),
        ("12", "twelve дванадцять двенадцать дванадцяти двенадцати"),
        ("13", "thirteen тринадцять тринадцать"),
        ("14", "fourteen чотирнадцять четырнадцать"),
        ("15", "fifteen п'ятнадцять пятнадцать"),
        ("16", "sixteen шістнадцять шестнадцать"),
        ("17", "seventeen сімнадцять семнадцать"),
        ("18", "eighteen вісімнадцять восемнадцать"),
        ("19", "nineteen дев'ятнадцять девятнадцать"),
        ("20", "twenty двадцять двадцать"),
        ("25", "twenty-five двадцять-п'ять двадцать-пять"),
        ("30", "thirty тридцять тридцать"),
        ("40", "forty сорок"),
        ("45", "forty-five сорок-п'ять сорок-пять"),
        ("50", "fifty п'ятдесят пятьдесят"),
        ("60", "sixty шістдесят шестьдесят"),
        ("90", "ninety дев'яносто девяносто"),
    )
    for word in said.split()
    for form in _forms(word)
}
#: "at the fifth hour": о п'ятій, на шосту -> digits.
HOURS = _written(
    (
        "першій першу перша першої",
        "другій другу друга другої",
        "третій третю третя третьої",
        "четвертій четверту четверта четвертої",
        "п'ятій п'яту п'ята п'ятої",
        "шостій шосту шоста шостої",
        "сьомій сьому сьома сьомої",
        "восьмій восьму восьма восьмої",
        "дев'ятій дев'яту дев'ята дев'ятої",
        "десятій десяту десята десятої",
        "одинадцятій одинадцяту одинадцята одинадцятої",
        "дванадцятій дванадцяту дванадцята дванадцятої",
    ),
    "{}",
)
#: "the fifth" of a month; Russian also names the half hours so: в половине шестого -> "5th".
ORDINALS = _written(
    (
        "first першого первого",
        "second другого второго",
        "third третього третьего",
        "fourth четвертого",
        "fifth п'ятого пятого",
        "sixth шостого шестого",
        "seventh сьомого седьмого",
        "eighth восьмого",
        "ninth дев'ятого девятого",
        "tenth десятого",
        "eleventh одинадцятого одиннадцатого",
        "twelfth дванадцятого двенадцатого",
        "thirteenth тринадцятого тринадцатого",
        "fourteenth чотирнадцятого четырнадцатого",
        "fifteenth п'ятнадцятого пятнадцатого",
        "sixteenth шістнадцятого шестнадцатого",
        "seventeenth сімнадцятого семнадцатого",
        "eighteenth вісімнадцятого восемнадцатого",
        "nineteenth дев'ятнадцятого девятнадцатого",
        "twentieth двадцятого двадцатого",
    ),
    "{}th",
)
DAY_OF_MONTH = frozenset({"числа", "число", "числу"})
NOW = frozenset({"now", "asap", "зараз", "сейчас"})
AT = _set("о об в у at к на до")  # before a clock time
FILLERS = _set(
    "самого after in on during at by until till before to the of for due day's в у во до о об на к ко с зі з і and после після по не "
    "later than позже пізніше позднее"
)
