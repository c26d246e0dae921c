/** Pages loaded when first shown, without a compatibility layer. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Skeleton } from "../components/States";

export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let loaded: ComponentType<Props> | null = null;
  return function Lazy(props: Props) {
    const [Page, setPage] = useState<ComponentType<Props> | null>(() => loaded);
    const [failure, setFailure] = useState<Error | null>(null);
    useEffect(() => {
      if (loaded) return;
      load().then((page) => {
        loaded = page;
        setPage(() => page);
      }, setFailure);
    }, []);
    if (failure) throw failure;
    return Page ? <Page {...props} /> : <Waiting />;
  };
}

/** Stands where the page will, at its width. */
function Waiting() {
  return (
    <div class="page">
      <section class="card">
        <Skeleton rows={8} height={18} />
      </section>
    </div>
  );
}
