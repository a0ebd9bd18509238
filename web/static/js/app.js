// The modules that every page loads. Each has one task and finds its elements by data attributes, so pages need no script of
// their own for it, and elements that htmx swaps in work at once.
import "./once.js";
import "./toasts.js";
import "./dialogs.js";
import "./menus.js";
import "./keys.js";
import "./progress.js";
import "./copy.js";
import "./running.js";
import "./ages.js";
import "./dock.js";
import "./notes.js";
import "./ring.js";
import "./bell.js";
import "./news.js";
import "./announce.js";
import "./errors.js";
import "./live.js";
import "./phone.js";
import "./focus.js";
import "./session.js";
import "./work.js";
import "./drafts.js";
import "./files.js";
import "./complete.js";
import "./versions.js";
import "./current.js";
