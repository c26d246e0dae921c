/** Small controls: buttons, segmented choice, select, check box, text field. */

import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "./Icon";

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "icon"> & {
  icon?: IconName;
  tone?: "plain" | "primary" | "ghost";
};

export function Button({ icon, tone = "plain", children, class: extra, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      class={`button button-${tone} ${children ? "" : "button-icon"} ${extra ?? ""}`}
      {...rest}
    >
      {icon && <Icon name={icon} />}
      {children && <span>{children}</span>}
    </button>
  );
}

/** A button that shows only an icon; the label is its accessible name and tooltip. */
export function IconButton({
  label,
  icon,
  pressed,
  ...rest
}: { label: string; icon: IconName; pressed?: boolean } & Omit<
  JSX.IntrinsicElements["button"],
  "label" | "icon"
>) {
  return (
    <button
      type="button"
      class="button button-ghost button-icon"
      aria-label={label}
      title={label}
      {...(pressed === undefined ? {} : { "aria-pressed": pressed })}
      {...rest}
    >
      <Icon name={icon} />
    </button>
  );
}

export interface Option<T extends string> {
  value: T;
  label: string;
}

export function Segmented<T extends string>(props: {
  label: string;
  options: Option<T>[];
  value: T;
  onChange: (value: T) => void;
  testId?: string;
}) {
  return (
    <fieldset class="segmented" aria-label={props.label} data-testid={props.testId}>
      {props.options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === props.value}
          onClick={() => props.onChange(option.value)}
        >
          {option.label}
        </button>
      ))}
    </fieldset>
  );
}

export function Select<T extends string>(props: {
  label: string;
  options: Option<T>[];
  value: T;
  onChange: (value: T) => void;
  showLabel?: boolean;
  testId?: string;
}) {
  return (
    <label class="field">
      <span class={props.showLabel ? "field-label" : "visually-hidden"}>{props.label}</span>
      <span class="select">
        <select
          value={props.value}
          data-testid={props.testId}
          onChange={(event) => props.onChange(event.currentTarget.value as T)}
        >
          {props.options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
        <Icon name="down" size={12} />
      </span>
    </label>
  );
}

export function Check(props: {
  label: ComponentChildren;
  checked: boolean;
  onChange: (checked: boolean) => void;
}) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={props.checked}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      <span class="check-mark">
        <Icon name="check" size={12} />
      </span>
      <span>{props.label}</span>
    </label>
  );
}

interface TextFieldProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  placeholder?: string;
  icon?: IconName;
  showLabel?: boolean;
  problem?: string;
  id?: string;
  testId?: string;
  onEnter?: () => void;
  suggestions?: string[];
  children?: ComponentChildren;
}

export function TextField(props: TextFieldProps) {
  return (
    <label class="field">
      <span class={props.showLabel ? "field-label" : "visually-hidden"}>{props.label}</span>
      <span class={`text-field ${props.problem ? "text-field-bad" : ""}`}>
        {props.icon && <Icon name={props.icon} size={14} />}
        <input
          type="text"
          id={props.id}
          value={props.value}
          placeholder={props.placeholder}
          data-testid={props.testId}
          spellcheck={false}
          autocomplete="off"
          aria-invalid={props.problem ? true : undefined}
          onInput={(event) => props.onInput(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && props.onEnter) {
              event.preventDefault();
              props.onEnter();
            }
            if (event.key === "Escape") event.currentTarget.blur();
          }}
        />
        {props.children}
      </span>
      {props.problem && (
        <span class="field-problem" role="alert">
          {props.problem}
        </span>
      )}
    </label>
  );
}
