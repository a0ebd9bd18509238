// Stages are reordered by dragging; the buttons beside each do the same for the keyboard.
import { say } from "./toasts.js";

function arm(list) {
  if (!list || list.dataset.armed) return;
  list.dataset.armed = "1";
  window.Sortable.create(list, {
    handle: ".handle",
    animation: 120,
    onEnd({ item, oldIndex, newIndex }) {
      if (oldIndex === newIndex) return;
      say(list.dataset.sayMoved.replace("{place}", newIndex + 1));
      window.htmx.ajax("POST", `/settings/stages/${item.dataset.stage}/position`, {
        target: "#stages",
        swap: "outerHTML",
        values: { position: newIndex },
      });
    },
  });
}

arm(document.querySelector("[data-stages]"));
document.addEventListener("htmx:after:swap", () => arm(document.querySelector("[data-stages]")));
