"""Templates of messages that come with templates of rules, in three languages. They are added when such a rule is made."""

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.messages.models import MessageChannel, MessageTemplate
from pbxcrm.messages.template_actions import MessageDraft, save_message_template
from pbxcrm.shared.reasons import N_

#: How the reader ends such messages. Without a public address of ours the line is left out.
_END = {
    "uk": "Не писати мені більше: {own.unsubscribe}",
    "ru": "Не писать мне больше: {own.unsubscribe}",
    "en": "No more messages: {own.unsubscribe}",
}


def _sample(name: str, *texts: tuple[str, str, str]) -> MessageDraft:
    """``texts``: language, subject, text."""
    said = {language: f"{text}\n\n{_END[language]}" for language, _subject, text in texts}
    subjects = {language: subject for language, subject, _text in texts}
    return MessageDraft(name, MessageChannel.EMAIL.value, said, subjects)


def _sms(name: str, **texts: str) -> MessageDraft:
    """``texts``: language and text; at most two parts of Cyrillic letters with usual names."""
    return MessageDraft(name, MessageChannel.SMS.value, texts, {})


#: By code; their names are English, and they are added in the language of the company.
SAMPLES: Mapping[str, MessageDraft] = {
    "status": _sample(
        N_("Where your order is"),
        ("uk", "{deal.title}: {deal.stage}", "Вітаємо, {client.name|шановний клієнте}!\n\nВаше замовлення «{deal.title}» тепер на етапі «{deal.stage}».\nПитання? Відповідайте на цей лист.\n\n{responsible.name|}"),
        ("ru", "{deal.title}: {deal.stage}", "Здравствуйте, {client.name|уважаемый клиент}!\n\nВаш заказ «{deal.title}» теперь на этапе «{deal.stage}».\nВопросы? Отвечайте на это письмо.\n\n{responsible.name|}"),
        ("en", "{deal.title}: {deal.stage}", "Hello {client.name|dear client},\n\nyour order “{deal.title}” is now at the stage “{deal.stage}”.\nQuestions? Answer this e-mail.\n\n{responsible.name|}"),
    ),
    "birthday": _sample(
        N_("Happy birthday"),
        ("uk", "З днем народження!", "{client.name}, вітаємо з днем народження!\nБажаємо здоров’я й добрих новин.\n\n{own.name|}"),
        ("ru", "С днём рождения!", "{client.name}, поздравляем с днём рождения!\nЖелаем здоровья и добрых новостей.\n\n{own.name|}"),
        ("en", "Happy birthday!", "{client.name}, happy birthday!\nWe wish you health and good news.\n\n{own.name|}"),
    ),
    "holiday": _sample(
        N_("Happy New Year"),
        ("uk", "З Новим роком!", "{client.name|Шановний клієнте}, вітаємо з Новим роком!\nДякуємо, що ви з нами.\n\n{own.name|}"),
        ("ru", "С Новым годом!", "{client.name|Уважаемый клиент}, поздравляем с Новым годом!\nСпасибо, что вы с нами.\n\n{own.name|}"),
        ("en", "Happy New Year!", "{client.name|Dear client}, a happy New Year!\nThank you for being with us.\n\n{own.name|}"),
    ),
    "invitation": _sample(
        N_("Invitation"),
        ("uk", "Запрошуємо: {deal.title}", "{client.name|Шановний клієнте}, чекаємо на вас: {deal.event_at}.\nЯкщо час не підходить, відповідайте на цей лист.\n\n{responsible.name|}"),
        ("ru", "Приглашаем: {deal.title}", "{client.name|Уважаемый клиент}, ждём вас: {deal.event_at}.\nЕсли время не подходит, ответьте на это письмо.\n\n{responsible.name|}"),
        ("en", "You are invited: {deal.title}", "{client.name|Dear client}, we await you: {deal.event_at}.\nIf the time does not suit you, answer this e-mail.\n\n{responsible.name|}"),
    ),
    "survey": _sample(
        N_("How was your first order?"),
        ("uk", "Як вам перше замовлення?", "{client.name|Шановний клієнте}, дякуємо за перше замовлення!\nОцініть, будь ласка, від 1 до 10 у відповіді на цей лист:\n1. Доставка\n2. Упаковка\n3. Якість і строки придатності\n\n{responsible.name|}"),
        ("ru", "Как вам первый заказ?", "{client.name|Уважаемый клиент}, спасибо за первый заказ!\nОцените, пожалуйста, от 1 до 10 в ответе на это письмо:\n1. Доставка\n2. Упаковка\n3. Качество и сроки годности\n\n{responsible.name|}"),
        ("en", "How was your first order?", "{client.name|Dear client}, thank you for your first order!\nPlease answer this e-mail with a mark from 1 to 10 for each:\n1. Delivery\n2. Packaging\n3. Quality and shelf life\n\n{responsible.name|}"),
    ),
    "rhythm": _sample(
        N_("Time to order again"),
        ("uk", "Час замовити знову?", "{client.name|Шановний клієнте}, зазвичай у цей час ви робите нове замовлення.\nВідповідайте на цей лист — і ми все підготуємо.\n\n{responsible.name|}"),
        ("ru", "Пора заказать снова?", "{client.name|Уважаемый клиент}, обычно в это время вы делаете новый заказ.\nОтветьте на это письмо — и мы всё подготовим.\n\n{responsible.name|}"),
        ("en", "Time to order again?", "{client.name|Dear client}, you usually order again about now.\nAnswer this e-mail, and we prepare everything.\n\n{responsible.name|}"),
    ),
    "visit_sms": _sms(
        N_("SMS: the visit is tomorrow"),
        uk="Нагадуємо: чекаємо на вас {deal.event_at}. {own.name|} {own.phone|}",
        ru="Напоминаем: ждём вас {deal.event_at}. {own.name|} {own.phone|}",
        en="A reminder: we await you {deal.event_at}. {own.name|} {own.phone|}",
    ),
    "unreached_sms": _sms(
        N_("SMS: we could not reach you"),
        uk="Ми телефонували вам, але не додзвонилися. Спробуємо ще раз. {own.name|} {own.phone|}",
        ru="Мы звонили вам, но не дозвонились. Попробуем ещё раз. {own.name|} {own.phone|}",
        en="We called you but could not reach you. We will try again. {own.name|} {own.phone|}",
    ),
}  # fmt: skip


async def add_sample(session: AsyncSession, viewer: Viewer, code: str, name: str, now: datetime) -> int:
    """The id of the template with this name, which is added if there is none. ``name``: in the language of the company."""
    known = (await session.exec(select(MessageTemplate).where(MessageTemplate.name == name))).first()
    if known is not None and known.archived_at is None:
        return known.id or 0
    sample = SAMPLES[code]
    draft = MessageDraft(
        name if known is None else f"{name} ({now:%Y-%m-%d %H:%M})", sample.channel, sample.texts, sample.subjects
    )
    return (await save_message_template(session, viewer, None, draft, now)).id or 0
