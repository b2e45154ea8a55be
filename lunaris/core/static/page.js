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

  // Gradio redraws what it translates, except the names of tabs that are not open.
  const words = () => window.gradio_config?.i18n_translations ?? {};
  const word = (key) => words()[language]?.[key] ?? key;
  function renameTabs() {
    document.querySelectorAll('.tab-wrapper button').forEach((tab) => {
      const text = tab.textContent.trim();
      const key = Object.values(words()).flatMap(Object.entries).find(([, ours]) => ours === text)?.[0];
      const node = [...tab.childNodes].find((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
      if (key && node && word(key) !== text) node.data = word(key);
    });
  }

  async function setLanguage(tag) {
    language = tag;
    await gradioLocale(tag);
    renameTabs();
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
    const button = event.target.closest("[data-language], [data-theme-switch], [data-api], button[data-fill]");
    if (!button) return;
    if (button.dataset.language) {
      remember(KEYS.language, button.dataset.language);
      setLanguage(button.dataset.language);
    } else if ("themeSwitch" in button.dataset) {
      flipTheme();
    } else if ("api" in button.dataset) {
      const docs = document.querySelector("footer .show-api"); // Gradio's own page of examples, whose footer is hidden
      if (!docs) return; // then the link leads to the OpenAPI description
      event.preventDefault();
      docs.dispatchEvent(new MouseEvent("mouseenter"));
      docs.click();
    } else {
      fill(button.dataset.fill, button.dataset.text, button.dataset.add);
      const press = button.dataset.press; // after Gradio has taken the new text over
      if (press) setTimeout(() => document.querySelector(press)?.click(), 60);
    }
  });

  /* Fields of our own: a colour picker fills a Gradio field, a search shows the words of a long list as buttons. */
  const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  function search(field) {
    const box = field.closest("[data-words]"), chips = box.querySelector(".lunaris-chips");
    const wanted = folded(field.value.trim()), all = JSON.parse(box.dataset.words);
    const found = all.filter((text) => folded(text).startsWith(wanted)).concat(all.filter((text) => folded(text).indexOf(wanted) > 0));
    const first = chips.firstElementChild ?? search.chip;
    search.chip = first; // the pattern of every other
    chips.replaceChildren(...found.slice(0, Number(box.dataset.shown)).map((text) => {
      const chip = first.cloneNode();
      chip.dataset.text = chip.textContent = text;
      return chip;
    }));
  }
  document.addEventListener("input", (event) => {
    if (event.target.matches("input[data-fill]")) fill(event.target.dataset.fill, event.target.value);
    else if (event.target.matches("[data-words] input")) search(event.target);
  });

  /* Put the address that brings this form back into the clipboard; where there is none, into the address bar. Says which. */
  async function copyLink(query) {
    const link = location.origin + location.pathname + query;
    try { await navigator.clipboard.writeText(link); return "clipboard"; } catch { history.replaceState(null, "", link); return "address"; }
  }

  // --- names and states for screen readers ----------------------------------------------------------------------------------------
  // Gradio names some controls in English only, and does not say whether an accordion is open.
  const PORTUGUESE = [
    [/^Thumbnail (\d+) of (\d+)$/, "Imagem $1 de $2"],
    [/^number input for (.*)$/, "$1, número"],
    [/^range slider for (.*)$/, "$1, controle deslizante"],
    [/^Reset to default value$/, "Voltar ao valor inicial"],
    [/^Upload file$/, "Enviar arquivo"],
    [/^Paste from clipboard$/, "Colar da área de transferência"],
    [/^Empty value$/, "Vazio"],
    [/^Clear$|^Remove Image$/, "Limpar"],
    [/^Click to upload or drop files$/, "Clique para enviar arquivos, ou solte-os aqui"],
    [/^Remove this file$/, "Remover este arquivo"],
    [/^Close$/, "Fechar"],
    [/^More tabs$/, "Mais abas"],
    [/^copy$/i, "Copiar"],
  ];
  const inOurWords = (name) => (language === "en" ? name : PORTUGUESE.reduce((text, [english, ours]) => text.replace(english, ours), name));

  function nameControls() {
    document.querySelectorAll("button[title]:not([aria-label])").forEach((button) => button.setAttribute("aria-label", button.title));
    document.querySelectorAll("gradio-app [aria-label]").forEach((control) => {
      const name = control.getAttribute("aria-label");
      const original = name === control.dataset.ourName ? control.dataset.gradioName : name;
      const wanted = inOurWords(original);
      if (wanted !== name) {
        Object.assign(control.dataset, { ourName: wanted, gradioName: original });
        control.setAttribute("aria-label", wanted);
        if (control.title === name) control.title = wanted;
      }
    });
    document.querySelectorAll(".image-frame img").forEach((picture) => {
      const label = picture.closest(".block")?.querySelector("[data-testid=block-label]")?.innerText.trim();
      if (label && picture.alt !== label) picture.alt = label;
    });
    document.querySelectorAll(".toast-title").forEach((title) => {
      if (title.textContent.trim() === "Error") title.textContent = word("page_error"); // Gradio drops the title it was given
    });
    document.querySelectorAll("button.label-wrap").forEach((button) => setState(button, "aria-expanded", button.classList.contains("open")));
  }

  function setState(button, name, value) {
    if (button.getAttribute(name) !== String(value)) button.setAttribute(name, value);
  }

  let waiting = false;
  new MutationObserver(() => {
    if (!waiting) requestAnimationFrame(() => { waiting = false; nameControls(); });
    waiting = true;
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["class", "aria-label"] });

  function sync() {
    document.querySelectorAll("[data-language]").forEach((button) => setState(button, "aria-pressed", button.dataset.language === language));
    document.querySelectorAll("[data-theme-switch]").forEach((button) => setState(button, "aria-pressed", isDark()));
    nameControls();
  }

  /* Bring a result into sight, where it is not (on a phone it lies below the form). */
  function show(selector) {
    const box = document.querySelector(selector)?.getBoundingClientRect();
    const hidden = box && (box.top < 0 || box.top > innerHeight * 0.6);
    if (hidden) scrollTo({ top: scrollY + box.top - 12, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  window.lunaris = { sync, show, copyLink, get language() { return language; } };
  if (recall(KEYS.theme)) applyTheme();
  if (language !== fromBrowser()) setLanguage(language);
})();
