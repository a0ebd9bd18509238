// Whoever changed a field in its place may go on with the other forms of the page: they take over the version that this change made.
// A form that was older already stays so, for somebody else's change lies between.
document.addEventListener("htmx:after:request", ({ detail }) => {
  const [row, before, after] = detail.ctx.response?.headers?.get("x-version")?.split(" ") ?? [];
  if (!after) return;
  for (const input of document.querySelectorAll(`form[action^="${row}/"] input[name=version]`)) {
    if (input.value === before) input.value = after;
  }
});
