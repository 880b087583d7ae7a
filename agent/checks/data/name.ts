/** What a folder or file of the config is called in alarms and readings. */
export const subjectOf = (target: { name?: string | undefined; path: string }): string => target.name ?? target.path;
