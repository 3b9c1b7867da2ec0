// Tags. They stand in a block's apps: the map "tags" has each as a key, and true; or false
// for one that only the front matter of an imported note has, and that was taken off. The
// server reads them the same way, so that search finds blocks by them.

export const plain = (v: unknown): Record<string, unknown> => (v && typeof v === "object" && !Array.isArray(v) ? (v as Record<string, unknown>) : {});

export const clean = (tag: unknown): string => (typeof tag === "string" ? tag.trim().replace(/^#/, "").slice(0, 64) : "");

export const ofFrontMatter = (apps: Record<string, unknown>): string[] => {
  const { tags } = plain(apps.frontmatter);
  const list = typeof tags === "string" ? tags.split(/[, ]/) : Array.isArray(tags) ? tags : [];
  return list.map(clean).filter(Boolean);
};

/** tagsOf lists a block's tags in order. */
export function tagsOf(apps: Record<string, unknown> | undefined | null): string[] {
  const all = plain(apps);
  const own = plain(all.tags);
  const tags = ofFrontMatter(all).filter((tag) => own[tag] !== false);
  for (const [tag, on] of Object.entries(own)) if (on === true && clean(tag)) tags.push(clean(tag));
  return [...new Set(tags)].sort((a, b) => a.localeCompare(b));
}
