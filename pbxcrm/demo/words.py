"""Names and texts of the sample company's history: clients, goods, notes and tasks."""

FIRST_NAMES = (
    "Олена", "Тарас", "Ірина", "Максим", "Наталія", "Богдан", "Марія", "Сергій", "Юлія", "Андрій", "Оксана", "Степан",
    "Галина", "Петро", "Олег", "Катерина", "Дмитро", "Вікторія", "Роман", "Софія", "Ганна", "Ігор", "Людмила", "Віталій",
)  # fmt: skip
LAST_NAMES = (
    "Коваленко", "Шевченко", "Бондаренко", "Гончар", "Поліщук", "Савчук", "Ткаченко", "Кравчук", "Романенко", "Зайченко",
    "Гнатюк", "Ярема", "Петренко", "Дзюба", "Марчук", "Білик", "Мороз", "Костенко", "Литвин", "Павленко", "Руденко",
    "Сидоренко", "Клименко", "Яковенко", "Панченко", "Остапчук", "Черненко", "Вовк", "Кириленко", "Демченко",
)  # fmt: skip
COMPANY_NAMES = (
    "Будмайстер", "Дім і Сад", "Еверест", "Інтер'єр Плюс", "Карпати Буд", "Новий Дім", "Оселя", "Паркет Центр", "Стиль",
    "Затишок", "Меридіан", "Вертикаль", "Горизонт", "Класика", "Лофт", "Модерн", "Фаворит", "Престиж", "Імпульс", "Сфера",
)  # fmt: skip
COMPANY_KINDS = ("ТОВ «{name}»", "ФОП {name}", "{name} Груп", "{name}-Сервіс")
GOODS = (
    "Oak flooring, {n} m²", "Laminate, {n} m²", "Office chairs, {n} pieces", "Acoustic panels, {n} pieces", "Doors, {n} pieces",
    "Curtains, {n} windows", "Wallpaper, {n} rolls", "Primer, {n} l", "Tiles, {n} m²", "Carpets for {n} rooms",
    "Kitchen worktops, {n} m", "Window sills, {n} pieces", "Plaster, {n} bags", "Garden furniture, {n} sets",
)  # fmt: skip
COMPLAINTS = (
    "Scratched: {goods}", "Delivered too late: {goods}", "Wrong colour: {goods}", "Not all arrived: {goods}",
)  # fmt: skip
SOURCES = ("Call", "Website", "Recommendation", "Exhibition", "Advertisement")
LOST_REASONS = (
    "Too expensive", "Bought elsewhere", "No answer any more", "Put off until next year", "We do not have it", "Was only comparing",
)  # fmt: skip
NOTES = (
    "Asked for the colour catalogue.", "Decides together with a partner.", "Wants delivery on Saturday.",
    "Compares us with two others.", "Prefers to be called after lunch.", "Needs an invoice for the company.",
    "Saw us at a neighbour's.", "Measured on site.", "Sent photos of the room.", "Asks for payment in two parts.",
)  # fmt: skip
TASKS = (
    "Send the samples", "Ask whether the proposal fits", "Call about the colour", "Send the invoice again", "Arrange a visit",
    "Find out who decides", "Check that the payment has come", "Agree on the day of delivery", "Call when the goods arrive",
)  # fmt: skip
