import js from "@eslint/js";
import a11y from "eslint-plugin-jsx-a11y";
import ts from "typescript-eslint";

export default ts.config(
  { ignores: ["node_modules/"] },
  js.configs.recommended,
  { files: ["src/**", "tests/**", "*.ts"], extends: [ts.configs.strict, ts.configs.stylistic] },
  {
    files: ["src/**/*.tsx"],
    ...a11y.flatConfigs.recommended,
    rules: {
      ...a11y.flatConfigs.recommended.rules,
      // Labels hold their control directly, which this rule does not see through our components.
      "jsx-a11y/label-has-associated-control": "off",
    },
  },
  {
    files: ["src/**", "tests/**", "*.ts"],
    rules: {
      // Indexes are checked by the compiler (noUncheckedIndexedAccess); `!` says why the value is there.
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
  },
  {
    files: ["dev/**"],
    languageOptions: { globals: { process: "readonly", URL: "readonly", URLSearchParams: "readonly" } },
  },
  {
    files: ["public/**"],
    languageOptions: {
      globals: {
        localStorage: "readonly",
        matchMedia: "readonly",
        document: "readonly",
        navigator: "readonly",
      },
    },
  },
);
