// The service worker shows the notice without a network and takes push messages; the page needs neither.
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js", { scope: "/" }).catch(() => {});
