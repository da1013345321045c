// SPDX-License-Identifier: Apache-2.0
// Replaces the content of the page and keeps the focus. The page also works without
// it.
"use strict";
(() => {
  const seconds = Number(document.currentScript.dataset.seconds);
  const busy = () => document.hidden || ["INPUT", "SELECT"].includes(document.activeElement.tagName) || !document.getSelection().isCollapsed;
  // What identifies a node when rows are added and removed.
  const is = (node) => [node.closest("section")?.getAttribute("aria-labelledby"), node.id, node.getAttribute("href"), node.getAttribute("aria-label")].join("\n");
  const refresh = async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok || busy()) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const focused = document.activeElement;
      const was = is(focused);
      for (const part of ["main", "footer"]) {
        document.querySelector(part).replaceWith(document.adoptNode(next.querySelector(part)));
      }
      document.title = next.title;
      if (!focused.isConnected) {
        const again = [...document.querySelectorAll(focused.tagName)].find((node) => is(node) === was);
        (again ?? document.querySelector("main")).focus({ preventScroll: true });
      }
    } catch {
      document.title = "(no answer) podgate";
    }
  };
  setInterval(refresh, seconds * 1000);
})();
