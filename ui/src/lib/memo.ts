/** Skips drawing a component again while its properties are shallowly the same. */

import { Component, type ComponentChild, type FunctionComponent } from "preact";

export function memo<Props extends object>(draw: (props: Props) => ComponentChild): FunctionComponent<Props> {
  class Memo extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
      return !same(this.props, next);
    }
    override render() {
      return draw(this.props);
    }
  }
  return Memo as unknown as FunctionComponent<Props>;
}

/** Functions are compared by presence only: callers pass fresh closures that do the same. */
export function same(a: object, b: object): boolean {
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every(
    (key) =>
      left[key] === right[key] || (typeof left[key] === "function" && typeof right[key] === "function"),
  );
}
