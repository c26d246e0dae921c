/** Copies a text and says so for a moment. */

import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";
import { IconButton } from "./Controls";
import type { IconName } from "./Icon";

interface Props {
  label: string;
  text: () => string;
  icon?: IconName;
}

const SHOWN_MS = 2_000;

export function CopyButton({ label, text, icon = "copy" }: Props) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = window.setTimeout(() => setCopied(false), SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [copied]);
  const copy = () => void navigator.clipboard?.writeText(text()).then(() => setCopied(true));
  return (
    <IconButton
      label={copied ? t("common.copied") : label}
      icon={copied ? "check" : icon}
      aria-live="polite"
      onClick={copy}
    />
  );
}
