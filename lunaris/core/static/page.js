/* What the page does before and beside Gradio: remembers language and theme, and lets plain HTML buttons fill Gradio's fields.
   Loaded once, from the page's head, before any component is drawn. */
(() => {
  if (window.lunaris) return;
  const KEYS = { language: "lunaris-language", theme: "lunaris-theme" };
  const system = matchMedia("(prefers-color-scheme: dark)");

  // Storage may be refused (private window, foreign frame): the choice then lasts as long as the page.
  const kept = {};
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return kept[key]; } };
  const remember = (key, value) => {
    kept[key] = value;
    try { value ? localStorage.setItem(key, value) : localStorage.removeItem(key); } catch { /* see above */ }
  };

  // --- language: the visitor's choice, else the browser's -------------------------------------------------------------------------
  const fromBrowser = () => (/^pt\b/i.test(navigator.language || "") ? "pt-BR" : "en");
  let language = recall(KEYS.language) || fromBrowser();

  async function gradioLocale(tag) {
    // Gradio exports its own locale switch; the module is among the scripts the page has loaded.
    const scripts = performance.getEntriesByType("resource").map((entry) => entry.name);
    for (const url of scripts.filter((name) => /\/assets\/core-[\w-]+\.js$/.test(name))) {
      const { changeLocale } = await import(url);
      if (changeLocale) return changeLocale(tag);
    }
  }

  async function setLanguage(tag) {
    language = tag;
    await gradioLocale(tag);
    document.documentElement.lang = tag; // what the style sheet goes by for texts in both languages
    sync();
  }

  // Handlers answer in the language of Accept-Language; the browser sends its own, so the visitor's choice is put there.
  const plainFetch = window.fetch.bind(window);
  window.fetch = (input, init = {}) => {
    const asked = input instanceof Request ? input : null;
    const url = new URL(asked ? asked.url : input, location.href);
    if (url.origin !== location.origin || !url.pathname.includes("/gradio_api/")) return plainFetch(input, init);
    const headers = new Headers(init.headers || (asked ? asked.headers : undefined));
    headers.set("Accept-Language", language);
    return plainFetch(input, { ...init, headers });
  };

  // --- theme: the visitor's choice, else the browser's ----------------------------------------------------------------------------
  const isDark = () => document.body.classList.contains("dark");
  function applyTheme() {
    const chosen = recall(KEYS.theme);
    document.body.classList.toggle("dark", chosen ? chosen === "dark" : system.matches);
    sync();
  }
  function flipTheme() {
    const wanted = isDark() ? "light" : "dark";
    remember(KEYS.theme, wanted === (system.matches ? "dark" : "light") ? null : wanted); // back to the browser's: follow it again
    document.body.classList.toggle("dark", wanted === "dark");
    sync();
  }
  system.addEventListener("change", applyTheme); // after Gradio's own listener, which knows nothing of the choice

  // --- fields ---------------------------------------------------------------------------------------------------------------------
  function fill(selector, text, add) {
    const field = document.querySelector(`${selector} textarea, ${selector} input`);
    if (!field) return;
    const value = (!add ? [text] : add === "before" ? [text, field.value] : [field.value, text]).map((s) => s.trim()).join(" ").trim();
    const prototype = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(prototype.prototype, "value").set.call(field, value);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-language], [data-theme-switch], [data-fill]");
    if (!button) return;
    if (button.dataset.language) {
      remember(KEYS.language, button.dataset.language);
      setLanguage(button.dataset.language);
    } else if ("themeSwitch" in button.dataset) {
      flipTheme();
    } else {
      fill(button.dataset.fill, button.dataset.text, button.dataset.add);
      const press = button.dataset.press; // after Gradio has taken the new text over
      if (press) setTimeout(() => document.querySelector(press)?.click(), 60);
    }
  });

  /* States and names that only a script can keep true. */
  function sync() {
    document.querySelectorAll("[data-language]").forEach((b) => b.setAttribute("aria-pressed", b.dataset.language === language));
    document.querySelectorAll("[data-theme-switch]").forEach((b) => b.setAttribute("aria-pressed", isDark()));
  }

  window.lunaris = { sync, get language() { return language; } };
  if (recall(KEYS.theme)) applyTheme();
  if (language !== fromBrowser()) setLanguage(language);
})();
