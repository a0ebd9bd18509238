"""Orders out of the database in the words of the telephone side: the composition root is the one place that knows both."""

from collections.abc import AsyncIterator

from ami.executing import CommandRequest, CommandResult
from pbxcrm.phone.source import Answer, Orders


class PhoneOrders:
    """``ami.executing.CommandSource`` over ``pbxcrm.phone.source.Orders``."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    async def requests(self, pbx: str) -> AsyncIterator[CommandRequest]:
        """Orders of this PBX as the listener takes them, as soon as they are asked."""
        async for order in self._orders.requests(pbx):
            yield CommandRequest(order.id, order.kind, order.params, order.expires_at)

    async def finish(self, result: CommandResult) -> None:
        """Store what the PBX answered to an order."""
        await self._orders.finish(Answer(result.id, result.done, result.code, result.params))
