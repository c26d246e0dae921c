/** An editor of queries: CodeMirror, in the page's colours. The languages are their pages' own.
 *
 * It lives in a shadow root. CodeMirror writes its style sheets as constructed ones there, which the
 * page's Content-Security-Policy allows; in the document it would add `<style>` elements, which it forbids.
 * Pages load it when they need it, for it is large.
 */

import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, forceLinting, linter, lintKeymap } from "@codemirror/lint";
import { Annotation, Compartment, EditorState, type Extension, Prec, StateEffect } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { shownTheme } from "../app/prefs";
import type { Place } from "../lib/places";

export interface EditorProps {
  value: string;
  testId: string;
  label: string;
  hint: string;
  /** What the server said of `asked`. */
  problems: readonly Place[];
  asked: string | null;
  focus: boolean;
  onInput: (value: string) => void;
  onRun: () => void;
}

export interface Language {
  /** Grammar and completion. */
  extension: Extension;
  /** What is wrong while one types; without it only the server is asked. */
  lint?: (view: EditorView) => readonly Diagnostic[] | Promise<readonly Diagnostic[]>;
  /** Enter never makes a second line. */
  oneLine?: boolean;
}

export function CodeEditor(props: EditorProps & { language: Language }) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const dark = shownTheme.value === "dark";

  useEffect(() => {
    const element = host.current!;
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open", delegatesFocus: true });
    const editor = new EditorView({
      state: EditorState.create({ doc: props.value, extensions: extensions(latest, dark) }),
      parent: root,
      root,
    });
    view.current = editor;
    if (props.focus) editor.focus();
    return () => editor.destroy();
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: darkness.reconfigure(EditorView.darkTheme.of(dark)) });
  }, [dark]);

  // At once, before the next key can be typed: a late effect would put an older text back.
  useLayoutEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === props.value) return;
    editor.dispatch({
      changes: { from: 0, to: editor.state.doc.length, insert: props.value },
      annotations: fromOutside.of(true),
    });
  }, [props.value]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    editor.dispatch({ effects: answered.of(null) });
    forceLinting(editor);
  }, [props.problems]);

  return <div class="editor-host" ref={host} data-testid={props.testId} />;
}

/** Marks the place that the server named; a place at the end of the text takes the character before it. */
function diagnostics(state: EditorState, problems: readonly Place[]): Diagnostic[] {
  return problems.flatMap(({ line, column, message, severity }) => {
    if (line > state.doc.lines) return [];
    const { from, to } = state.doc.line(line);
    const start = Math.min(from + column - 1, to);
    const word = /^[\w:.]+/.exec(state.doc.sliceString(start, to))?.[0].length ?? 1;
    const end = Math.min(start + word, to);
    return [{ from: end > start ? start : Math.max(from, start - 1), to: end, severity, message }];
  });
}

interface Latest {
  current: EditorProps & { language: Language };
}

const darkness = new Compartment();
const answered = StateEffect.define<null>();
/** The page set the text, so it need not be told. */
const fromOutside = Annotation.define<boolean>();

/** While one types, what the grammar finds; for the text that was asked, what the server said. */
function problemsOf(latest: Latest) {
  return (view: EditorView): readonly Diagnostic[] | Promise<readonly Diagnostic[]> => {
    const { asked, problems } = latest.current;
    if (view.state.doc.toString() === asked) return diagnostics(view.state, problems);
    return latest.current.language.lint?.(view) ?? [];
  };
}

/** Keeps a text in one line: what is pasted has its line ends replaced by spaces. */
const ONE_LINE = EditorState.transactionFilter.of((transaction) => {
  if (transaction.newDoc.lines === 1) return transaction;
  const text = transaction.newDoc.toString().replace(/\s*\n\s*/g, " ");
  return [
    {
      changes: { from: 0, to: transaction.startState.doc.length, insert: text },
      selection: { anchor: text.length },
    },
  ];
});

function extensions(latest: Latest, dark: boolean) {
  const { language } = latest.current;
  const run = () => {
    latest.current.onRun();
    return true;
  };
  return [
    history(),
    bracketMatching(),
    closeBrackets(),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": latest.current.label, spellcheck: "false" }),
    placeholder(latest.current.hint),
    language.extension,
    language.oneLine ? ONE_LINE : [],
    linter(problemsOf(latest), {
      delay: 500,
      needsRefresh: (update) =>
        update.transactions.some((one) => one.effects.some((effect) => effect.is(answered))),
    }),
    // what is shown can be taken at once: an Enter that came "too soon" would run half a name
    autocompletion({ icons: false, closeOnBlur: true, interactionDelay: 0 }),
    darkness.of(EditorView.darkTheme.of(dark)),
    syntaxHighlighting(COLOURS),
    THEME,
    // Enter runs; where the list of completions is open its own binding comes first.
    Prec.high(
      keymap.of([
        ...completionKeymap,
        { key: "Enter", run },
        { key: "Mod-Enter", run },
        { key: "Shift-Enter", run: language.oneLine ? run : insertNewlineAndIndent },
      ]),
    ),
    keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
    EditorView.updateListener.of((update) => {
      const outside = update.transactions.some((one) => one.annotation(fromOutside));
      if (update.docChanged && !outside) latest.current.onInput(update.state.doc.toString());
    }),
  ];
}

const COLOURS = HighlightStyle.define([
  { tag: [tags.number, tags.string], color: "var(--code-literal)" },
  { tag: tags.invalid, color: "var(--bad-text)" },
  {
    tag: [tags.keyword, tags.modifier, tags.operatorKeyword, tags.function(tags.variableName)],
    color: "var(--code-word)",
  },
  { tag: [tags.operator, tags.paren, tags.squareBracket, tags.brace], color: "var(--text-2)" },
  { tag: tags.labelName, color: "var(--code-label)" },
  { tag: tags.comment, color: "var(--text-3)", fontStyle: "italic" },
  { tag: tags.variableName, color: "var(--text)" },
]);

const THEME = EditorView.theme({
  "&": { color: "var(--text)", background: "transparent", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": {
    fontFamily: "var(--mono)",
    padding: "6px 0",
    caretColor: "var(--text)",
    fontFeatureSettings: "normal",
  },
  ".cm-line": { padding: "0 10px", lineHeight: "18px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--text-3)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground, .cm-content ::selection":
    { background: "var(--accent-soft)" },
  "&.cm-focused .cm-matchingBracket": {
    background: "var(--accent-soft)",
    outline: "1px solid var(--accent)",
  },
  ".cm-tooltip": {
    border: "1px solid var(--border)",
    borderRadius: "var(--radius)",
    background: "var(--surface)",
    boxShadow: "var(--shadow-pop)",
    zIndex: "50",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": {
    fontFamily: "var(--mono)",
    fontSize: "12px",
    maxHeight: "320px",
    maxWidth: "560px",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 10px", lineHeight: "18px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": {
    background: "var(--accent-soft)",
    color: "var(--text)",
  },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700", color: "var(--accent-text)" },
  ".cm-completionDetail": {
    marginLeft: "12px",
    fontStyle: "normal",
    color: "var(--text-3)",
    fontFamily: "var(--font)",
  },
  ".cm-completionInfo": {
    padding: "8px 12px",
    maxWidth: "360px",
    color: "var(--text-2)",
    fontFamily: "var(--font)",
    fontSize: "12px",
    lineHeight: "1.45",
  },
  ".cm-diagnostic": {
    padding: "6px 10px",
    fontFamily: "var(--font)",
    fontSize: "12px",
    color: "var(--text)",
  },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--bad)" },
  ".cm-diagnostic-warning": { borderLeft: "3px solid var(--warn)" },
  ".cm-diagnostic-info": { borderLeft: "3px solid var(--accent)" },
  ".cm-lintRange": { backgroundImage: "none" },
  ".cm-lintRange-error": { textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { textDecoration: "underline wavy var(--warn)", textUnderlineOffset: "3px" },
  ".cm-lintRange-info": { textDecoration: "underline dotted var(--accent)", textUnderlineOffset: "3px" },
});
