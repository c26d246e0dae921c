/** Runs some things at a time: a dashboard asks dozens of queries, a browser has six connections. */

export interface Pool {
  /** Runs `work` when there is room; one whose signal is aborted while it waits never starts. */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  readonly running: number;
  readonly waiting: number;
}

export function pool(limit: number): Pool {
  const queue: (() => void)[] = [];
  let running = 0;
  const next = () => {
    while (running < limit && queue.length) queue.shift()!();
  };
  return {
    run: (work, signal) =>
      new Promise((resolve, reject) => {
        const gone = () => signal.reason as Error;
        const start = () => {
          signal.removeEventListener("abort", leave);
          running += 1;
          work()
            .then(resolve, reject)
            .finally(() => {
              running -= 1;
              next();
            });
        };
        const leave = () => {
          const at = queue.indexOf(start);
          if (at >= 0) queue.splice(at, 1);
          reject(gone());
        };
        if (signal.aborted) {
          reject(gone());
          return;
        }
        signal.addEventListener("abort", leave, { once: true });
        queue.push(start);
        next();
      }),
    get running() {
      return running;
    },
    get waiting() {
      return queue.length;
    },
  };
}
