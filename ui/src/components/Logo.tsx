/** The wind vane: an arrow with a tail fin turning on its mast. */
export function Logo({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" class="logo-mark">
      <g fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round">
        <path d="M16 14v13M11.2 27h9.6" />
        <path d="M9.5 13.6 25 8.3" />
      </g>
      <path d="M29 6.9 21.6 5.7l2.6 7.3z" fill="currentColor" />
      <path d="M10.4 9.2 3 13.2l2.4 6.1 7.2-3-1.4-3.1z" fill="currentColor" />
      <circle cx="16" cy="11.4" r="2.6" fill="currentColor" />
    </svg>
  );
}
