"""The routes of the board, the same deals as a list, their saved views and its acts on many deals."""

from starlette.routing import Route

from pbxcrm.access import Permission
from web.pages import board, bulk, deal_list, views
from web.routing import POST, page


def board_routes() -> list[Route]:
    """Every route below ``/board``, and the list of deals."""
    read, write = Permission.DEALS_READ, Permission.DEALS_EDIT
    return [
        page("/deals", deal_list.deals, needs=read, name="deal_list"),
        page("/deals/columns", deal_list.columns, needs=read, name="deal_columns"),
        page("/deals/columns", deal_list.save_columns, needs=read, methods=POST, name="save_deal_columns"),
        page("/board", board.board, needs=read),
        page("/board/heads", board.heads, needs=read),
        page("/board/filters", board.filters, needs=read, name="board_filters"),
        page("/board/views", views.views, needs=read, name="board_views"),
        page("/board/views", views.save, needs=read, methods=POST, name="save_view"),
        page("/board/views/{view_id:int}", views.change, needs=read, methods=POST, name="change_view"),
        page("/board/views/{view_id:int}/delete", views.delete, needs=read, methods=POST, name="delete_view"),
        page("/board/views/{view_id:int}/restore", views.restore, needs=read, methods=POST, name="restore_view"),
        page("/board/bulk", bulk.start, needs=write, methods=POST, name="bulk"),
        page("/board/bulk/{job_id:int}", bulk.progress, needs=write, name="bulk_progress"),
        page("/board/bulk/{job_id:int}/undo", bulk.undo, needs=write, methods=POST, name="undo_bulk"),
        page("/board/columns/{stage_id:int}", board.column, needs=read),
        page("/board/cards/{deal_id:int}", board.card, needs=read),
    ]
