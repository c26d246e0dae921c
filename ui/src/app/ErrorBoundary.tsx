/** Keeps one page's failure from taking the console down. */

import { Component, type ComponentChildren } from "preact";
import { ErrorState } from "../components/States";

export class ErrorBoundary extends Component<{ children: ComponentChildren }, { error: Error | null }> {
  override state = { error: null };

  override componentDidCatch(error: Error): void {
    this.setState({ error });
  }

  override render() {
    const { error } = this.state;
    return error ? (
      <ErrorState error={error} retry={() => this.setState({ error: null })} />
    ) : (
      this.props.children
    );
  }
}
