// Both fields of "Authorize" request the focus, and the last one gets it. Most users paste an access token, into the first.
const focusTheToken = (Input, { React }) => (props) =>
  React.createElement(Input, { ...props, autoFocus: props.autoFocus && props.id === "auth-bearer-value" });

// A link inside a button adds a tab stop, and screen readers skip it. The button updates the address as well.
const noLink = (_, { React }) => ({ text }) => React.createElement("span", null, text);

// There is only one server: this one.
const nothing = () => () => null;

// The original filter has no label, and finds operations by tag and path only.
const labelledFilter = (_, { React }) => ({ layoutSelectors, layoutActions }) => {
  const filter = layoutSelectors.currentFilter();
  const input = React.createElement("input", {
    type: "search",
    value: typeof filter === "string" ? filter : "",
    onChange: (event) => layoutActions.updateFilter(event.target.value || true),
  });
  const label = React.createElement("label", { className: "filter" }, "Filter operations", input);
  return React.createElement("div", { className: "wrapper" }, label);
};

const opsFilter = (groups, phrase) => {
  const wanted = phrase.trim().toLowerCase();
  const matches = (name) => (operation) => {
    const words = ["operationId", "summary"].map((key) => operation.getIn(["operation", key]));
    const text = [name, operation.get("method"), operation.get("path"), ...words].join(" ");
    return text.toLowerCase().includes(wanted);
  };
  return groups
    .map((group, name) => group.update("operations", (operations) => operations.filter(matches(name))))
    .filter((group) => group.get("operations").size > 0);
};

/** The media types of an operation's successful response, as the document orders them. */
const mediaTypes = (system, path, method) => {
  const responses = system.specSelectors.specJson().getIn(["paths", path, method, "responses"]);
  const success = responses?.find((_, status) => status.startsWith("2"));
  return success?.get("content")?.keySeq().toArray() ?? [];
};

// Swagger UI shows the first media type, but asks for any until somebody selects one.
const shownMediaType = (selected, system) => (state, path, method) =>
  selected(path, method) ?? mediaTypes(system, path, method)[0];

// A stream has no end, and Swagger UI shows a response only once it has ended.
const unlessStream = (allowed, system) => (state, path, method) =>
  allowed(path, method) && !mediaTypes(system, path, method).includes("text/event-stream");

const ORGANIZATION = ["idOrg", "orgId", "organizationId", "organization"];

/** Puts an organization's id into every field that asks for one, unless somebody has written another there. */
const fillIn = ({ specSelectors, specActions }, id, before) => {
  for (const operation of specSelectors.operations()) {
    const at = [operation.get("path"), operation.get("method")];
    for (const parameter of operation.getIn(["operation", "parameters"]) ?? []) {
      if (!ORGANIZATION.includes(parameter.get("name"))) continue;
      const value = specSelectors.parameterWithMetaByIdentity(at, parameter)?.get("value");
      if (!value || value === before) specActions.changeParamByIdentity(at, parameter, id);
    }
  }
};

let organization;

/** Asks for the caller's own organization, which every user may do and no API key. */
const fillInOwn = async (system, token) => {
  const response = await fetch("/user/profile", { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) return;
  const { orgId } = (await response.json()).data;
  fillIn(system, orgId, organization);
  organization = orgId;
};

/** A token without spaces around it, nor the word "Bearer", which is often copied too and is added anyway. */
const bare = (credential) =>
  credential.value ? { ...credential, value: credential.value.trim().replace(/^bearer\s+/i, "") } : credential;

const authorize = (original, system) => (pasted) => {
  const credentials = Object.fromEntries(Object.entries(pasted).map(([name, credential]) => [name, bare(credential)]));
  const token = credentials.bearerAuth?.value;
  if (token?.startsWith("okp_")) fillInOwn(system, token);
  return original(credentials);
};

const plugin = {
  fn: { opsFilter },
  wrapComponents: {
    Input: focusTheToken,
    DeepLink: noLink,
    ServersContainer: nothing,
    FilterContainer: labelledFilter,
  },
  statePlugins: {
    auth: { wrapActions: { authorize } },
    oas3: { wrapSelectors: { responseContentType: shownMediaType } },
    spec: { wrapSelectors: { allowTryItOutFor: unlessStream } },
  },
};

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    // The token stays in memory, until the page is closed.
    persistAuthorization: false,
    displayOperationId: true,
    filter: true,
    // Each operation shows its schemas, so the list of all schemas starts collapsed.
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    // This theme has enough contrast.
    syntaxHighlight: { theme: "obsidian" },
    plugins: [plugin],
  });
};
