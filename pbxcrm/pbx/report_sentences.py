"""The English sentence of each ``PbxReport.code``.

The entry point that shows a report translates the sentence and fills in ``params``. No sentence ever holds the secret.
"""

#: code → sentence with ``{params}``.
REPORTS: dict[str, str] = {
    # on the way to the PBX
    "starting": "Starting.",
    "connecting": "Connecting to {host}:{port}.",
    "unreachable": "Nobody answers at {host}:{port} ({why}). Trying again in {retry_seconds} s.",
    "not_asterisk": "Something answers at {host}:{port}, but it is not an Asterisk Manager Interface. "
    "Check the port (usually 5038). Trying again in {retry_seconds} s.",
    "login_silent": "{host}:{port} accepts the connection but does not answer the login. Trying again in {retry_seconds} s.",
    "login_refused": "The PBX at {host} refuses the user “{user}”: {why}. Check the user, the secret and the permitted "
    "addresses in manager.conf, then start the listener again. It is not tried again by itself.",
    "bad_url": "The address of the PBX cannot be used: {why}. Write it as ami://user:secret@host:5038.",
    # while connected
    "syncing": "Logged in; asking the PBX for its state.",
    "listening": "Listening.",
    "snapshot_refused": "Listening, but the PBX does not let us ask for its state ({action}: {why}): calls that end while the "
    "connection is down stay unknown. Add “reporting” to read and write of the user in manager.conf.",
    "snapshot_failed": "The PBX did not finish reporting its state ({why}). Connecting again in {retry_seconds} s.",
    "link_lost": "The link to the PBX broke ({why}). Trying again in {retry_seconds} s.",
    "pbx_stopped": "The PBX said that it is shutting down. Trying again in {retry_seconds} s.",
    "silent": "The PBX has not answered for {seconds} s; the connection was closed. Trying again in {retry_seconds} s.",
    "overrun": "The PBX sent more than could be written down; the connection was closed. Trying again in {retry_seconds} s.",
    "clock_off": "The clock of the PBX differs from ours by {seconds} s. Set both by NTP: times of calls would be wrong.",
    # on our side
    "standby": "Another listener follows this PBX; this one takes over when the other stops.",
    "journal_full": "The journal cannot be written ({why}) in {folder}. {waiting} bytes wait in memory. Make room.",
    "journal_lost": "{count} messages of the PBX were lost because the disk stayed full. Asking the PBX for its state.",
    "journal_damaged": "{count} damaged places in the journal in {folder} were skipped. Check the disk.",
    "journal_unusable": "The journal folder {folder} cannot be used: {why}.",
    "journal_in_use": "Another process writes the journal in {folder}. Only one listener may run there.",
    "database_away": "The database does not accept the events of the PBX ({why}). Nothing is lost: they wait in the journal "
    "and are tried again.",
    "fact_refused": "The database refuses the events of the PBX ({why}); they are tried again.",
    "fact_put_aside": "A fault of ours: {fact} of the call {linkedid} could not be applied ({why}) and was put aside in {file}. "
    "Please report it.",
    "failed": "The listener stopped because of a fault of its own ({why}) and starts again in {retry_seconds} s.",
    "stopped": "Stopped.",
    # commands
    "link_down": "The PBX is not connected; the command was not sent.",
    "command_expired": "The command is too old; it was not sent.",
    "command_silent": "The PBX did not answer the command in {seconds} s; whether it was done is not known.",
    "action_refused": "The PBX refused the command {action}: {why}.",
    "not_picked_up": "Your phone {extension} was not picked up, so the client was not called.",
    "number_unknown": "The PBX cannot dial {number}, so the call was not transferred: it stays with you.",
    "unsafe_value": "“{field}” holds something that must not be sent to a PBX.",
}
