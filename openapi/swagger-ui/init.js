// Both fields of "Authorize" request the focus, and the last one gets it. Most users paste an access token, into the first.
const focusTheToken = (Input, { React }) => (props) =>
  React.createElement(Input, { ...props, autoFocus: props.autoFocus && props.id === "auth-bearer-value" });

// A link inside a button adds a tab stop, and screen readers skip it. The button updates the address as well.
const noLink = (_, { React }) => ({ text }) => React.createElement("span", null, text);

// There is only one server: this one.
const nothing = () => () => null;

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
    // Each operation shows its schemas, so the list of all schemas starts collapsed.
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    // This theme has enough contrast.
    syntaxHighlight: { theme: "obsidian" },
    plugins: [{ wrapComponents: { Input: focusTheToken, DeepLink: noLink, ServersContainer: nothing } }],
  });
};
