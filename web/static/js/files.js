// [data-attach="/deals/1/files"]: files that are chosen there, or dropped on the [data-drop] around it, are sent one after
// the other, each with its progress; what is wrong with one is said beside its name, and the others go on.
const queue = [];
let sending = false;

function row(attach, file) {
  const item = document.createElement("li");
  const name = document.createElement("bdi");
  name.textContent = file.name;
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", file.name);
  item.append(name, " ", bar);
  attach.querySelector(".sending").append(item);
  return item;
}

function refuse(item, sentence) {
  item.querySelector("progress")?.remove();
  const said = document.createElement("span");
  said.className = "error";
  said.setAttribute("role", "alert");
  said.textContent = sentence;
  item.append(said);
}

function take(attach, files) {
  for (const old of attach.querySelectorAll(".sending li:not(:has(progress))")) old.remove(); // what was said before
  for (const file of files) {
    const item = row(attach, file);
    if (!file.size) refuse(item, attach.dataset.sayEmpty);
    else if (file.size > attach.dataset.most * 1048576) refuse(item, attach.dataset.sayLarge);
    else queue.push({ attach, file, item });
  }
  next();
}

function next() {
  const job = sending ? null : queue.shift();
  if (!job) return;
  sending = true;
  const { attach, file, item } = job;
  const request = new XMLHttpRequest(); // fetch tells no progress of what is sent
  const form = new FormData();
  form.append("file", file);
  request.open("POST", attach.dataset.attach);
  request.setRequestHeader("HX-Request", "true");
  request.setRequestHeader("HX-Request-Type", "partial");
  request.setRequestHeader("Page-Language", document.documentElement.lang);
  request.upload.onprogress = (event) => { if (event.lengthComputable) item.querySelector("progress").value = event.loaded / event.total; };
  request.onload = () => {
    const plain = request.getResponseHeader("content-type")?.startsWith("text/plain");
    if (request.status === 200) finish(attach, item, request.responseText);
    else refuse(item, plain ? request.responseText : attach.dataset.sayFailed);
  };
  request.onerror = () => refuse(item, attach.dataset.sayFailed);
  request.onloadend = () => { sending = false; next(); };
  request.send(form);
}

function finish(attach, item, html) {
  const list = document.getElementById("files-list");
  if (list) {
    list.outerHTML = html;
    window.htmx.process(document.getElementById("files-list"));
    item.remove();
  } else {
    item.querySelector("progress").remove();
    item.append(`✓ ${attach.dataset.sayDone}`);
  }
}

document.addEventListener("change", ({ target }) => {
  const attach = target.matches?.("[data-attach] input[type=file]") && target.closest("[data-attach]");
  if (!attach) return;
  take(attach, [...target.files]);
  target.value = "";
});
function dropped(event) {
  return event.dataTransfer?.types.includes("Files") ? event.target.closest?.("[data-drop]") : null;
}
document.addEventListener("dragover", (event) => {
  const zone = dropped(event);
  if (zone) { event.preventDefault(); zone.classList.add("over"); }
});
document.addEventListener("dragleave", ({ target }) => target.closest?.("[data-drop]")?.classList.remove("over"));
document.addEventListener("drop", (event) => {
  const zone = dropped(event);
  if (!zone) return;
  event.preventDefault();
  zone.classList.remove("over");
  take(zone.querySelector("[data-attach]"), [...event.dataTransfer.files]);
});
document.documentElement.classList.add("sends-files"); // the plain button is for browsers without scripts
