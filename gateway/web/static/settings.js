// What takes longer than a moment says so on its button; the form goes its usual way.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button?.dataset.busy) return;
  setTimeout(() => {
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-disabled", "true");
  });
});
addEventListener("pageshow", (event) => event.persisted && location.reload());
