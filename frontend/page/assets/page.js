"use strict";
(() => {
const $ = id => document.getElementById(id), number = $("number"), expiry = $("expiry"), cvc = $("cvc"), form = document.forms[0];
const poll = document.body.dataset.poll;
if (poll) {
  const state = document.querySelector("main").className;
  let pause = 2000;
  const look = async () => {
    try {
      const answer = await fetch(poll, {cache: "no-store"});
      if (answer.ok && !state.endsWith(await answer.text())) return location.reload();
    } catch (e) { /* the network is away: look again later */ }
    pause = Math.min(pause * 1.3, 15000);
    setTimeout(look, pause);
  };
  setTimeout(look, pause);
}
if (!number) return;
const text = name => document.querySelector(`template[data-text="${name}"]`).content.textContent;
const brands = [[/^220[0-4]/, "Mir"], [/^4/, "Visa"], [/^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, "Mastercard"], [/^3[47]/, "Amex"],
  [/^(50|5[6-8])/, "Maestro"], [/^35(2[89]|[3-8])/, "JCB"], [/^62/, "UnionPay"], [/^6011/, "Discover"]];
const digits = s => s.replace(/\D/g, "");
const luhn = s => [...s].reverse().reduce((sum, c, i) => sum + (i % 2 ? [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][c] : +c), 0) % 10 === 0;
const brand = s => (brands.find(b => b[0].test(s)) || [0, ""])[1];
const groups = s => brand(s) === "Amex" ? [s.slice(0, 4), s.slice(4, 10), s.slice(10)] : s.match(/.{1,4}/g) || [];

// Rewrites a field while the caret stays behind the digit it stood behind.
const rewrite = (field, to) => {
  const before = digits(field.value.slice(0, field.selectionStart)).length, end = field.selectionStart === field.value.length;
  if (field.value === to) return;
  field.value = to;
  let at = 0;
  for (let seen = 0; seen < before && at < to.length; at++) if (/\d/.test(to[at])) seen++;
  if (end) at = to.length;
  field.setSelectionRange(at, at);
};
const say = (field, key) => {
  const error = $(field.id + "-error"), hint = $(field.id + "-hint");
  error.textContent = key ? text(key) : "";
  error.hidden = !key; hint.hidden = !!key;
  field.setAttribute("aria-describedby", field.id + (key ? "-error" : "-hint"));
  if (key) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
  return !key;
};
const checks = new Map([
  [number, s => { const d = digits(s); return !d ? "number.required" : d.length < 12 || d.length > 19 ? "number.length" : luhn(d) ? "" : "number.luhn"; }],
  [expiry, s => {
    if (!s.trim()) return "expiry.required";
    const m = /^\s*(0?[1-9]|1[0-2])\s*[\/ -]?\s*(?:20)?(\d\d)\s*$/.exec(s), now = new Date();
    return !m ? "expiry.format" : 2000 + +m[2] < now.getFullYear() || 2000 + +m[2] === now.getFullYear() && +m[1] < now.getMonth() + 1 ? "expiry.past" : "";
  }],
  [cvc, s => !s ? "cvc.required" : /^\d{3,4}$/.test(s) ? "" : "cvc.format"],
]);
const used = field => field === cvc || !$("new-card") || $("new-card").checked;
const check = field => say(field, used(field) ? checks.get(field)(field.value) : "");

number.addEventListener("input", () => {
  const d = digits(number.value).slice(0, 19);
  rewrite(number, groups(d).filter(Boolean).join(" "));
  $("brand").value = brand(d);
  if (d.length >= 16 && luhn(d)) say(number, "");
});
expiry.addEventListener("input", e => {
  let d = digits(expiry.value).slice(0, 4);
  if (/^[2-9]/.test(d)) d = "0" + d.slice(0, 3);
  if (e.inputType && e.inputType.startsWith("delete")) return;
  if (!/\d{2}\D*20\d/.test(expiry.value)) rewrite(expiry, d.length > 1 ? d.slice(0, 2) + "/" + d.slice(2) : d);
});
cvc.addEventListener("input", () => rewrite(cvc, digits(cvc.value)));
for (const field of checks.keys()) field.addEventListener("blur", () => field.value && check(field));
form.addEventListener("submit", e => {
  const button = form.querySelector("button"), wrong = [...checks.keys()].filter(field => !check(field));
  if (wrong.length || button.getAttribute("aria-disabled")) {
    e.preventDefault();
    if (wrong.length) wrong[0].focus();
    return;
  }
  button.setAttribute("aria-disabled", "true");
  button.textContent = button.dataset.busy;
});
addEventListener("pageshow", e => e.persisted && location.reload());
})();
