// The cabinet works without this file. With it pages are told of news, forms are
// sent once, and passkeys can be used.
"use strict";

// A form is sent once; its key makes a second sending harmless anyway.
document.addEventListener("submit", event => {
  if (event.target.dataset.sent) { event.preventDefault(); return; }
  event.target.dataset.sent = "1";
  for (const button of event.target.querySelectorAll("button")) setTimeout(() => { button.disabled = true; });
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
});

// Parts with data-live are asked for again while the page is looked at, and left
// alone while something in them is chosen or open.
for (const part of document.querySelectorAll("[data-live]")) {
  let tag = "";
  const look = async () => {
    const busy = document.hidden || part.querySelector("input:checked, details[open]") || part.contains(document.activeElement);
    if (!busy) {
      try {
        const answer = await fetch(part.dataset.live, { headers: tag ? { "If-None-Match": tag } : {}, redirect: "error", cache: "no-store" });
        if (answer.status === 200) {
          tag = answer.headers.get("ETag") || "";
          part.innerHTML = await answer.text();
        }
        part.dataset.looked = String(Number(part.dataset.looked || 0) + 1);
      } catch { /* the next look tries again */ }
    }
    if (!part.querySelector("[data-settled]")) setTimeout(look, 3000);
  };
  setTimeout(look, 3000);
}

// On a phone the sections stand in a row that scrolls.
for (const here of document.querySelectorAll(".side nav [aria-current]")) here.scrollIntoView({ block: "nearest", inline: "center" });

// One box checks all rows.
const all = document.querySelector("[data-all]");
if (all) {
  all.closest("label").hidden = false;
  all.addEventListener("change", () => {
    for (const box of document.querySelectorAll("input[name=payment]")) box.checked = all.checked;
  });
}

// Passkeys: Web Authentication, with the options and answers in JSON.
const passkeys = window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON && PublicKeyCredential.parseCreationOptionsFromJSON;
const tell = (form, text) => { const out = form.querySelector("[role=status]"); out.textContent = text; out.hidden = !text; };
const post = async (url, body, headers) => {
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body || {}) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.problem);
  return said;
};
for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!passkeys) continue;
  form.hidden = false;
  form.addEventListener("submit", async event => {
    event.preventDefault();
    tell(form, "");
    const headers = form.elements.csrf ? { "X-CSRF-Token": form.elements.csrf.value } : {};
    try {
      const { publicKey } = await post(form.action + "/begin", null, headers);
      let credential;
      if (form.dataset.passkey === "new") {
        headers["X-Passkey-Name"] = encodeURIComponent(form.elements.name.value);
        credential = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) });
      } else {
        credential = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
      }
      location.assign((await post(form.action + "/finish", credential.toJSON(), headers)).to);
    } catch (problem) {
      tell(form, problem.name === "NotAllowedError" || !problem.message ? form.dataset.failed : problem.message);
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("button")) button.disabled = false;
    }
  });
}
