// Both fields of "Authorize" ask for the focus and the last one has it; a token that is pasted belongs into the first.
const focusTheToken = (Input, { React }) => (props) =>
  React.createElement(Input, { ...props, autoFocus: props.autoFocus && props.id === "auth-bearer-value" });

// A link within a button: one stop more for the keyboard, and screen readers pass over it. The button makes the address, too.
const noLink = (_, { React }) => ({ text }) => React.createElement("span", null, text);

// The only server is this one.
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
    // A token stays in the page's memory and is gone with it.
    persistAuthorization: false,
    displayOperationId: true,
    // The schemas are beside each operation; their list starts folded.
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    // Its colors have enough contrast.
    syntaxHighlight: { theme: "obsidian" },
    plugins: [{ wrapComponents: { Input: focusTheToken, DeepLink: noLink, ServersContainer: nothing } }],
  });
};
