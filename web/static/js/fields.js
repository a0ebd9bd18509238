// Settings of fields: they are reordered by dragging, also into another section; the buttons beside each do the same for the keyboard.
// The form shows only what the chosen kind has.
import { say } from "./toasts.js";

function arm() {
  for (const list of document.querySelectorAll("[data-fields]:not([data-armed])")) {
    list.dataset.armed = "1";
    window.Sortable?.create(list, {
      group: "fields",
      handle: ".handle",
      animation: 120,
      onEnd({ item, from, to, oldIndex, newIndex }) {
        if (from === to && oldIndex === newIndex) return;
        say(list.dataset.sayMoved.replace("{place}", newIndex + 1));
        window.htmx.ajax("POST", `/settings/fields/${item.dataset.field}/place`, {
          target: "#field-list",
          swap: "outerHTML",
          values: { position: newIndex, section_id: to.dataset.section },
        });
      },
    });
  }
  const form = document.querySelector("[data-field-form]");
  const kind = form?.querySelector("select[name=field_kind]");
  if (!kind) return;
  for (const part of form.querySelectorAll("[data-for-kind]")) {
    part.hidden = !part.dataset.forKind.split(" ").includes(kind.value);
  }
}

arm();
document.addEventListener("change", (event) => { if (event.target.name === "field_kind") arm(); });
document.addEventListener("htmx:after:swap", arm);
