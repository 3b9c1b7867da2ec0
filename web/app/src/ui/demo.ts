// What somebody new can look around in.

export const welcome: Record<string, string> = {
  "Welcome.md": `# Welcome

This is a note. Click into it and write: what you write is on this device at once, and **safe on the server** as soon as the badge above says so.

- [ ] Make another note with **New note**, or a folder
- [ ] Drop a picture into a note
- [ ] Type \`[[\` to link to another note
- [ ] Press **Share** in the heap, and write together with somebody
- [ ] Switch the network off, and go on writing

> Everything that was ever in a note is in its **History**, and what you delete is in the **Trash** for a while.
`,
};

export const demo: Record<string, string> = {
  "Garden/Garden.md": `---
tags: [garden, plan]
---
# The garden this year

| Month | What to do | Where |
| --- | --- | --- |
| March | Sow [Tomatoes](Tomatoes.md) | window sill |
| May | Plant them out, after the last frost | south bed |
| June | [Basil](Basil.md) beside them | south bed |

- [x] Order seeds
- [ ] Repair the water butt
`,
  "Garden/Tomatoes.md": `---
tags: [garden]
---
# Tomatoes

They want **sun**, water at their feet and never on their leaves. [[Basil]] keeps them company.

1. Sow in March, a centimetre deep
2. Prick out when they have two real leaves
3. Plant out in May
`,
  "Garden/Basil.md": `---
tags: [garden, kitchen]
---
# Basil

Cut it above a pair of leaves, and it grows on. It goes into the [[Tomato salad]].
`,
  "Kitchen/Tomato salad.md": `---
tags: [kitchen]
---
# Tomato salad

[[Tomatoes]], [[Basil]], an onion, oil and salt. Let it rest for a quarter of an hour.
`,
  "Read me first.md": `# A demo

Look around: the folders are in the tree at the side. [[Garden]] has a table and tasks, [[Tomatoes]] links to other notes, and every note says at its end what links to it.

Search for *water*, or choose a tag above the list. If you have seen enough, put it all into the trash.
`,
};
