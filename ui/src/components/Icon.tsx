/** Line icons on a 16 px grid, drawn for this console. */

const PATHS = {
  graph:
    "M4 5.5a1.75 1.75 0 1 0 0-.01M12 3.75a1.75 1.75 0 1 0 0-.01M11 12.5a1.75 1.75 0 1 0 0-.01M5.7 5 10.3 4M5.3 6.7l4.5 4.6M11.9 5.5l-.7 5.2",
  services: "M2.5 3.5h11v3.5h-11zM2.5 9h11v3.5h-11zM5 5.25h.01M5 10.75h.01",
  traces: "M2.5 4h7M5 8h6M8 12h5.5",
  metrics: "M2.5 2.5v11h11M4.8 10.2 7.4 7l2.2 1.8 3.6-4.6",
  dashboards: "M2.5 2.5h5v6h-5zM9.5 2.5h4v3.5h-4zM9.5 8h4v5.5h-4zM2.5 10.5h5v3h-5z",
  bell: "M4.2 11V7.2a3.8 3.8 0 0 1 7.6 0V11l1.2 1.4H3zM6.8 14h2.4",
  config: "M2.5 4.5h6M11.5 4.5h2M10 3v3M2.5 11.5h2M7.5 11.5h6M6 10v3",
  target: "M8 2.5a5.5 5.5 0 1 0 .01 0M8 5.4a2.6 2.6 0 1 0 .01 0M8 8h.01",
  link: "M6.8 9.2 9.2 6.8M7.4 4.9l1.5-1.5a2.6 2.6 0 0 1 3.7 3.7l-1.5 1.5M8.6 11.1l-1.5 1.5a2.6 2.6 0 0 1-3.7-3.7l1.5-1.5",
  insights:
    "M8 1.8a4.2 4.2 0 0 1 2.4 7.6c-.6.5-.8 1-.8 1.8H6.4c0-.8-.2-1.3-.8-1.8A4.2 4.2 0 0 1 8 1.8M6.6 13.6h2.8",
  status: "M2 8h3l2-4.5 2.5 9L11.5 8H14",
  refresh: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v2.7h-2.7",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.2v9.6L12.5 8z",
  clock: "M8 2.5a5.5 5.5 0 1 0 .01 0M8 5v3.2l2.2 1.4",
  sun: "M8 5.2a2.8 2.8 0 1 0 .01 0M8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  moon: "M13 9.6A5.5 5.5 0 0 1 6.4 3 5.5 5.5 0 1 0 13 9.6z",
  system: "M2.5 3.5h11v7.5h-11zM6 13.5h4",
  close: "M4 4l8 8M12 4l-8 8",
  down: "M4 6.2 8 10l4-3.8",
  up: "M4 9.8 8 6l4 3.8",
  right: "M6.2 4 10 8l-3.8 4",
  left: "M9.8 4 6 8l3.8 4",
  search: "M7 2.8a4.2 4.2 0 1 0 .01 0M10.2 10.2l3.3 3.3",
  plus: "M8 3.5v9M3.5 8h9",
  minus: "M3.5 8h9",
  fit: "M2.8 6V2.8H6M10 2.8h3.2V6M13.2 10v3.2H10M6 13.2H2.8V10",
  layout: "M2.5 3h4v3.5h-4zM9.5 9.5h4V13h-4zM4.5 6.5v4.7h5",
  lock: "M4.5 7.2h7v5.3h-7zM5.8 7.2V5.4a2.2 2.2 0 0 1 4.4 0v1.8",
  unlock: "M4.5 7.2h7v5.3h-7zM5.8 7.2V5.4a2.2 2.2 0 0 1 4.2-.9",
  workload: "M8 2.3 13 5v6l-5 2.7L3 11V5zM3 5l5 2.7L13 5M8 7.7v6",
  app: "M2.8 2.8h4.2v4.2H2.8zM9 2.8h4.2v4.2H9zM2.8 9h4.2v4.2H2.8zM9 9h4.2v4.2H9z",
  service: "M8 2.5 13.5 12.5h-11z",
  serviceEntry: "M8 2.2a5.8 5.8 0 1 0 .01 0M2.4 8h11.2M8 2.2c-4 4-4 7.6 0 11.6M8 2.2c4 4 4 7.6 0 11.6",
  gateway: "M2.5 8H10M7.2 5 10.2 8l-3 3M13 3v10",
  unknown: "M5.8 6a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.6M8 12h.01",
  route: "M2.5 8h4.2L10 4.2h3.2M6.7 8 10 11.8h3.2M11.7 2.7l1.6 1.5-1.6 1.5M11.7 10.3l1.6 1.5-1.6 1.5",
  breaker: "M9 2 4 9h3.5L7 14l5-7H8.5z",
  fault: "M8 2.8 14 13H2zM8 6.7v3M8 11.4h.01",
  external: "M6.5 3.5h-3v9h9v-3M9 3h4v4M13 3 7.5 8.5",
  copy: "M5.5 5.5h7.5V13H5.5zM10.5 5.5V3H3v7.5h2.5",
  keyboard: "M1.8 4h12.4v8H1.8zM4.2 6.5h.01M6.7 6.5h.01M9.2 6.5h.01M11.8 6.5h.01M5 9.5h6",
  list: "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.01M2.5 8h.01M2.5 12h.01",
  eye: "M1.8 8S4 3.8 8 3.8 14.2 8 14.2 8 12 12.2 8 12.2 1.8 8 1.8 8M8 6.2a1.8 1.8 0 1 0 .01 0",
  check: "M3.2 8.4 6.5 11.5 12.8 4.8",
  warning: "M8 2.5a5.5 5.5 0 1 0 .01 0M8 5.2v3.4M8 10.9h.01",
  wind: "M2 6h7.2a1.9 1.9 0 1 0-1.8-2.5M2 9h10a1.8 1.8 0 1 1-1.7 2.4M2 12h4.5",
  inbox: "M2.5 9 4.3 3.5h7.4L13.5 9v4h-11zM2.5 9h3.2l1 1.8h2.6l1-1.8h3.2",
  sort: "M5 6.2 8 3.2l3 3M5 9.8l3 3 3-3",
} as const;

export type IconName = keyof typeof PATHS;

export function iconPath(name: IconName): string {
  return PATHS[name];
}

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
