// Adds passkeys, and signs in with them. What the browser is asked is in an attribute of the form, and what it answers is sent
// with the form. Such forms are hidden without scripts, and where the browser has no passkeys for this page.
const decode = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const withBytes = (list) => list.map((known) => ({ ...known, id: decode(known.id) }));

const isUsable = (form) =>
  window.isSecureContext && "PublicKeyCredential" in window && location.origin === form.dataset.origin;

const creation = (form) => {
  const options = JSON.parse(form.dataset.passkeyCreate);
  return {
    ...options,
    challenge: decode(options.challenge),
    user: { ...options.user, id: decode(options.user.id) },
    excludeCredentials: withBytes(options.excludeCredentials),
  };
};

const request = (form) => {
  const options = JSON.parse(form.dataset.passkeyGet);
  return { ...options, challenge: decode(options.challenge), allowCredentials: withBytes(options.allowCredentials) };
};

// The members of the answer, of either ceremony.
const answer = ({ rawId, response, type }) => ({
  id: encode(rawId),
  rawId: encode(rawId),
  type,
  response: {
    clientDataJSON: encode(response.clientDataJSON),
    ...(response.attestationObject
      ? { attestationObject: encode(response.attestationObject), transports: response.getTransports?.() ?? [] }
      : {
          authenticatorData: encode(response.authenticatorData),
          signature: encode(response.signature),
          ...(response.userHandle && { userHandle: encode(response.userHandle) }),
        }),
  },
});

const send = (form, credential) => {
  form.elements.credential.value = JSON.stringify(answer(credential));
  // The boxes of the other form of the page count for this one as well.
  for (const name of ["keep", "remember"]) {
    if (form.elements[name] && document.getElementById(name)?.checked) {
      form.elements[name].value = "1";
    }
  }
  form.submit();
};

// Each problem has its text on the page.
const say = (form, problem) => {
  for (const text of form.querySelectorAll("[data-passkey-problem]")) {
    text.hidden = text.dataset.passkeyProblem !== problem;
  }
};

let waiting;

const ask = async (form, isConditional) => {
  waiting?.abort();
  const own = (waiting = new AbortController());
  const { signal } = own;
  try {
    const credential = form.dataset.passkeyCreate
      ? await navigator.credentials.create({ publicKey: creation(form), signal })
      : await navigator.credentials.get({
          publicKey: request(form),
          signal,
          ...(isConditional && { mediation: "conditional" }),
        });
    if (credential) {
      send(form, credential);
    }
  } catch (error) {
    if (!isConditional && !signal.aborted) {
      say(form, error.name === "InvalidStateError" ? "taken" : "failed");
    }
  }
};

// Passkeys among the suggestions of the field for the username.
const suggest = async (form) => {
  if (await PublicKeyCredential.isConditionalMediationAvailable?.()) {
    await ask(form, true);
  }
};

for (const form of document.querySelectorAll("[data-passkey-create], [data-passkey-get]")) {
  if (isUsable(form)) {
    form.hidden = false;
    for (const text of document.querySelectorAll("[data-passkey-unsupported]")) {
      text.hidden = true;
    }
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      say(form, null);
      ask(form, false);
    });
    if ("suggests" in form.dataset) {
      suggest(form);
    }
  }
}

// What authenticators should know: which passkeys there are, and what the user is called.
for (const { dataset } of document.querySelectorAll("[data-passkey-signals]")) {
  for (const [method, known] of Object.entries(JSON.parse(dataset.passkeySignals))) {
    window.PublicKeyCredential?.[method]?.(known).catch(() => {});
  }
}
