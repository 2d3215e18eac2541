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
  });
};
