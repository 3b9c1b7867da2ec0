// Recovery phrases. A chunk of its own, because of the list of words.

import { entropyToMnemonic, mnemonicToSeedSync, validateMnemonic } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { fromSeed } from "./keys";

/** newPhrase is twelve words that stand for 128 random bits. */
export function newPhrase(): string {
  return entropyToMnemonic(crypto.getRandomValues(new Uint8Array(16)), wordlist);
}

/** tidy takes a phrase as people type it. */
export const tidy = (phrase: string): string => phrase.trim().toLowerCase().split(/\s+/).join(" ");

/** fault says what is wrong with a phrase, or nothing. */
export function fault(phrase: string): string | undefined {
  const words = tidy(phrase).split(" ").filter(Boolean);
  const unknown = words.find((word) => !wordlist.includes(word));
  if (unknown !== undefined) return `“${unknown}” is none of the words that a phrase is made of.`;
  if (![12, 15, 18, 21, 24].includes(words.length)) return `A phrase has 12 words (or 15, 18, 21 or 24); these are ${words.length}.`;
  if (!validateMnemonic(words.join(" "), wordlist)) return "These words do not belong together: one of them, or their order, is wrong.";
  return undefined;
}

/** secretOf is the private key that a phrase stands for. */
export const secretOf = (phrase: string): Uint8Array => fromSeed(mnemonicToSeedSync(tidy(phrase)));
