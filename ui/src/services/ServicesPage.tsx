export function ServicesPage() {
  return <p>ServicesPage</p>;
}
