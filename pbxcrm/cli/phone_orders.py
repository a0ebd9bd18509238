"""Adapts the orders of ``pbxcrm.phone`` to the interface of ``ami``: only the composition root knows both."""

from collections.abc import AsyncIterator

from ami.command_executor import CommandRequest, CommandResult
from pbxcrm.phone.order_source import Answer, Orders


class PhoneOrders:
    """``ami.command_executor.CommandSource`` over ``pbxcrm.phone.order_source.Orders``."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    async def requests(self, pbx: str) -> AsyncIterator[CommandRequest]:
        """Yield the orders of this PBX as the listener needs them, as soon as they are given."""
        async for order in self._orders.requests(pbx):
            yield CommandRequest(order.id, order.kind, order.params, order.expires_at)

    async def finish(self, result: CommandResult) -> None:
        """Store the result of an order."""
        await self._orders.finish(Answer(result.id, result.done, result.code, result.params))
