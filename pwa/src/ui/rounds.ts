/**
 * The circle decides: a proposal with what everybody said of it. What one person says stands in that person's own part, so
 * nobody can put words into another's mouth; here the parts are laid together. Pure.
 */
import type { Fields, Parts, Person } from "../app/engine";
import { decisionMark } from "../core/consent";
import { withoutPhone } from "./circle";
import { members, personName, splitPart } from "./schema";

export type State =
  | "draft"
  | "clarifying"
  | "reacting"
  | "consent_round"
  | "adopted"
  | "objection"
  | "adapting"
  | "withdrawn"
  | "held"
  | "to_review"
  | "confirmed"
  | "adapted"
  | "ended";

/** The steps that people see; `adapting` goes back into the round. */
export const STEPS: readonly State[] = ["draft", "clarifying", "reacting", "consent_round"];
const AFTER: { readonly [state: string]: State } = {
  draft: "clarifying",
  clarifying: "reacting",
  reacting: "consent_round",
  adapting: "consent_round",
  objection: "adapting",
  held: "draft",
};
export const nextState = (state: State): State | undefined => AFTER[state];
const LIVE: readonly State[] = [
  "draft",
  "clarifying",
  "reacting",
  "consent_round",
  "objection",
  "adapting",
  "held",
];
const AGREED: readonly State[] = ["adopted", "to_review", "confirmed", "adapted"];
export const isLive = (state: State): boolean => LIVE.includes(state);
export const isAgreed = (state: State): boolean => AGREED.includes(state);

/** Once it is agreed, its date alone asks for a review. */
export function stateOf(fields: Fields, today: string): State {
  const state = String(fields.state ?? "draft") as State;
  const due = typeof fields.evaluation === "string" && fields.evaluation.slice(0, 10) <= today;
  return due && ["adopted", "confirmed"].includes(state) ? "to_review" : state;
}

export const markOf = (fields: Fields): string => decisionMark(String(fields.text ?? ""));

/** Somebody who is asked: a person with a device, or a line of the circle whose words another writes down. */
export interface Asked {
  id: string;
  name: string;
  /** Who is asked to write it down. */
  standIn: string | null;
}

/** Everybody of the circle, also who has no phone: nobody is left out by being forgotten. */
export function everybody(parts: Parts, people: readonly Person[]): Asked[] {
  const here = people
    .filter((one) => one.role === "owner" || one.role === "member")
    .map((one): Asked => ({ id: one.person, name: one.name, standIn: null }));
  return [...here, ...withoutPhone(parts, people)];
}

export interface Heard extends Asked {
  /** None: not heard. */
  answer: "consent" | "objection" | null;
  why: string;
  /** Who wrote it down, for who has no phone. */
  via: string | null;
  /** An answer was given, but to another text than the present one. */
  old: boolean;
}

/** What each of those who were asked says of the text as it is now. Of two answers of one person the objection counts. */
export function heard(item: string, fields: Fields, parts: Parts, people: readonly Person[]): Heard[] {
  const asked = members(fields.asked);
  const lines = withoutPhone(parts, people);
  const whom = asked.length > 0 ? asked : everybody(parts, people).map((one) => one.id);
  const mark = markOf(fields);
  return whom.map((id) => {
    const line = lines.find((one) => one.id === id);
    const name = line?.name ?? circleName(parts, id) ?? personName(people, id);
    const given = said(parts, people, "consents", item).filter((one) => one.of === id);
    const now = given.filter((one) => one.fields.version === mark && one.fields.answer);
    const one = now.find(({ fields: each }) => each.answer === "objection") ?? now[0];
    return {
      id,
      name,
      standIn: line?.standIn ?? null,
      answer: one ? (one.fields.answer === "objection" ? "objection" : "consent") : null,
      why: String(one?.fields.text ?? ""),
      via: one?.via ?? null,
      old: !one && given.length > 0,
    };
  });
}

/** Everybody has answered this text: only then is it shown who said what. */
export const isFull = (round: readonly Heard[]): boolean => round.every((one) => one.answer !== null);
export const objections = (round: readonly Heard[]): Heard[] =>
  round.filter((one) => one.answer === "objection");

export interface Said {
  /** Who says it: a person's id, or the line of the circle for whom it was written down. */
  of: string;
  name: string;
  via: string | null;
  text: string;
  old: boolean;
}

export function reactions(item: string, fields: Fields, parts: Parts, people: readonly Person[]): Said[] {
  const mark = markOf(fields);
  return said(parts, people, "reactions", item)
    .filter((one) => String(one.fields.text ?? "") !== "")
    .map(({ of, via, fields: each }) => ({
      of,
      name: circleName(parts, of) ?? personName(people, of),
      via,
      text: String(each.text),
      old: each.version !== mark,
    }));
}

interface Line {
  of: string;
  via: string | null;
  item: string;
  fields: Fields;
}

function said(parts: Parts, people: readonly Person[], collection: string, decision: string): Line[] {
  return Object.entries(parts).flatMap(([part, collections]) => {
    const { kind, about } = splitPart(part);
    if (kind !== "answers") return [];
    return Object.entries(collections[collection] ?? {})
      .filter(([, fields]) => fields.decision === decision)
      .map(([item, fields]): Line => {
        const other = typeof fields.for === "string" && fields.for !== "" ? fields.for : null;
        return { of: other ?? about, via: other ? personName(people, about) : null, item, fields };
      });
  });
}

/** The line that holds this person's answer to the present text, to be changed and not doubled. */
export function ownAnswer(
  item: string,
  fields: Fields,
  parts: Parts,
  me: Person,
  forWhom: string,
): { item: string; fields: Fields } | undefined {
  const mark = markOf(fields);
  const mine = Object.entries(parts[`answers@${me.person}`]?.consents ?? {});
  const found = mine.find(
    ([, one]) =>
      one.decision === item &&
      one.version === mark &&
      String(one.for || me.person) === (forWhom || me.person),
  );
  return found && { item: found[0], fields: found[1] };
}

const circleName = (parts: Parts, id: string): string | undefined => {
  const name = parts.circle?.people?.[id]?.name;
  return typeof name === "string" && name !== "" ? name : undefined;
};
