export function ServicePage() {
  return <p>ServicePage</p>;
}
