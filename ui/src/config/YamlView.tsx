/** YAML with line numbers as in its file; lines with findings are marked and say what was found. */

import type { Finding } from "../api/own";
import { Icon } from "../components/Icon";
import { TONES } from "../status/ConfigCard";
import { tokens } from "./yaml";

export function YamlView(props: {
  label: string;
  yaml: string;
  first: number;
  findings: readonly Finding[];
}) {
  const lines = props.yaml.replace(/\n$/, "").split("\n");
  const at = new Map<number, Finding[]>();
  for (const one of props.findings) at.set(one.line, [...(at.get(one.line) ?? []), one]);
  return (
    <pre class="yaml" aria-label={props.label} data-testid="yaml">
      {lines.map((line, index) => {
        const found = at.get(props.first + index) ?? [];
        return (
          <span key={index} class={`yaml-line ${found[0] ? `yaml-${TONES[found[0].level]}` : ""}`}>
            <i>{props.first + index}</i>
            <span class="yaml-text">
              <YamlLine text={line} />
              {found.map((one) => (
                <span key={one.code + one.message} class="yaml-finding">
                  <Icon name="warning" size={12} />
                  {one.code} {one.message}
                </span>
              ))}
            </span>
          </span>
        );
      })}
    </pre>
  );
}

export function YamlLine({ text }: { text: string }) {
  return (
    <code>
      {tokens(text).map((token, index) =>
        token.kind === "plain" ? (
          token.text
        ) : (
          <span key={index} class={`y-${token.kind}`}>
            {token.text}
          </span>
        ),
      )}
      {"\n"}
    </code>
  );
}
