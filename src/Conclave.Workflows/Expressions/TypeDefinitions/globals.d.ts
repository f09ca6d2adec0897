// What every script may use.

/** Id of the workflow, the same for all its versions. */
declare function getWorkflowDefinitionId(): string;
/** Id of the version of the workflow that runs. */
declare function getWorkflowDefinitionVersionId(): string;
/** Number of the version of the workflow that runs. */
declare function getWorkflowDefinitionVersion(): number;
/** Id of the running instance. */
declare function getWorkflowInstanceId(): string;
/** The id that ties the instance to something in your world, or null. */
declare function getCorrelationId(): string | null;
/** Sets the id that ties the instance to something in your world. */
declare function setCorrelationId(value: string | null): void;
/** Name of the running instance, or null. */
declare function getWorkflowInstanceName(): string | null;
/** Names the running instance. */
declare function setWorkflowInstanceName(value: string | null): void;

/** The value of a variable; null when there is none of that name. */
declare function getVariable(name: string): any;
/** Sets a variable; one that does not exist is created. */
declare function setVariable(name: string, value: any): void;
/** The value of a workflow input; null when nobody gave it. */
declare function getInput(name: string): any;
/** An output of an activity that has run, by the activity's name or id; without a name it is Result. */
declare function getOutputFrom(activity: string, output?: string): any;
/** The Result of the activity that ran last. */
declare function getLastResult(): any;

/** Whether a text is missing, empty or only spaces. */
declare function isNullOrWhiteSpace(text: string | null | undefined): boolean;
/** Whether a text is missing or empty. */
declare function isNullOrEmpty(text: string | null | undefined): boolean;
/** A value as JSON text. */
declare function toJson(value: any): string;
/** Reads a GUID. */
declare function parseGuid(text: string): Guid;
/** A new GUID. */
declare function newGuid(): Guid;
/** A new GUID as text. */
declare function newGuidString(): string;
/** A new short id as text, safe in URLs. */
declare function newShortGuid(): string;
/** @deprecated Use newGuidString. */
declare function getGuidString(): string;
/** @deprecated Use newShortGuid. */
declare function getShortGuid(): string;
/** UTF-8 bytes as text. */
declare function bytesToString(bytes: Bytes): string;
/** A text as UTF-8 bytes. */
declare function bytesFromString(text: string): Uint8Array;
/** Bytes as base64. */
declare function bytesToBase64(bytes: Bytes): string;
/** Base64 as bytes. */
declare function bytesFromBase64(text: string): Uint8Array;
/** A text as base64 of its UTF-8 bytes. */
declare function stringToBase64(text: string): string;
/** Base64 of UTF-8 bytes as text. */
declare function stringFromBase64(text: string): string;
/** The bytes of a stream. */
declare function streamToBytes(stream: Bytes): Uint8Array;
/** The bytes of a stream as base64. */
declare function streamToBase64(stream: Bytes): string;
/** A URL that publishes an event when it is opened; the lifetime is a time span, or the time at which it ends. Needs a server that offers such URLs. */
declare function createEventTriggerUrl(eventName: string, lifetime?: TimeSpan | DateTime | DateTimeOffset | Date | string): string;
/** The value of a secret. Needs a server that keeps secrets. */
declare function getSecret(name: string): Promise<string | null>;
/** A value of the server's settings under Workflows:Configuration; null when there is none. Needs a server. */
declare function getConfig(name: string): string | null;

/** What counts as bytes: the bytes themselves, or base64. */
type Bytes = Uint8Array | ArrayBuffer | number[] | string | null;

/** A length of time. */
declare class TimeSpan {
    constructor(ticks?: number);
    constructor(hours: number, minutes: number, seconds: number);
    constructor(days: number, hours: number, minutes: number, seconds: number, milliseconds?: number);
    static FromDays(value: number): TimeSpan;
    static FromHours(value: number): TimeSpan;
    static FromMinutes(value: number): TimeSpan;
    static FromSeconds(value: number): TimeSpan;
    static FromMilliseconds(value: number): TimeSpan;
    static FromTicks(value: number): TimeSpan;
    static readonly Zero: TimeSpan;
    static Parse(text: string): TimeSpan;
    static Compare(a: TimeSpan, b: TimeSpan): number;
    readonly TotalDays: number;
    readonly TotalHours: number;
    readonly TotalMinutes: number;
    readonly TotalSeconds: number;
    readonly TotalMilliseconds: number;
    readonly Days: number;
    readonly Hours: number;
    readonly Minutes: number;
    readonly Seconds: number;
    readonly Milliseconds: number;
    readonly Ticks: number;
    Add(other: TimeSpan): TimeSpan;
    Subtract(other: TimeSpan): TimeSpan;
    Multiply(factor: number): TimeSpan;
    Divide(by: TimeSpan): number;
    Divide(by: number): TimeSpan;
    Negate(): TimeSpan;
    Duration(): TimeSpan;
    CompareTo(other: TimeSpan): number;
    Equals(other: any): boolean;
    ToString(): string;
}

interface Moment {
    readonly Year: number;
    readonly Month: number;
    readonly Day: number;
    readonly Hour: number;
    readonly Minute: number;
    readonly Second: number;
    readonly Millisecond: number;
    readonly DayOfWeek: string;
    readonly DayOfYear: number;
    readonly TimeOfDay: TimeSpan;
    readonly Ticks: number;
    AddMilliseconds(value: number): this;
    AddTicks(value: number): this;
    AddSeconds(value: number): this;
    AddMinutes(value: number): this;
    AddHours(value: number): this;
    AddDays(value: number): this;
    AddMonths(value: number): this;
    AddYears(value: number): this;
    Add(span: TimeSpan): this;
    Subtract(span: TimeSpan): this;
    Subtract(other: Moment): TimeSpan;
    CompareTo(other: Moment): number;
    Equals(other: any): boolean;
    ToString(format?: string): string;
    ToShortDateString(): string;
    ToShortTimeString(): string;
}

/** A date with a time. */
interface DateTime extends Moment {
    readonly Kind: string;
    readonly Date: DateTime;
    ToUniversalTime(): DateTime;
    ToLocalTime(): DateTime;
}
declare const DateTime: {
    new (year?: number, month?: number, day?: number, hour?: number, minute?: number, second?: number, millisecond?: number): DateTime;
    readonly Now: DateTime;
    readonly UtcNow: DateTime;
    readonly Today: DateTime;
    readonly MinValue: DateTime;
    readonly MaxValue: DateTime;
    readonly UnixEpoch: DateTime;
    Parse(text: string): DateTime;
    IsLeapYear(year: number): boolean;
    DaysInMonth(year: number, month: number): number;
    SpecifyKind(value: DateTime, kind: string): DateTime;
    Compare(a: DateTime, b: DateTime): number;
};

/** A moment: a date and time with its offset from UTC. */
interface DateTimeOffset extends Moment {
    readonly Offset: TimeSpan;
    readonly Date: DateTime;
    readonly DateTime: DateTime;
    readonly UtcDateTime: DateTime;
    readonly LocalDateTime: DateTime;
    ToUniversalTime(): DateTimeOffset;
    ToLocalTime(): DateTimeOffset;
    ToOffset(offset: TimeSpan): DateTimeOffset;
    ToUnixTimeSeconds(): number;
    ToUnixTimeMilliseconds(): number;
}
declare const DateTimeOffset: {
    new (value?: DateTime, offset?: TimeSpan): DateTimeOffset;
    new (year: number, month: number, day: number, hour: number, minute: number, second: number, offset: TimeSpan): DateTimeOffset;
    readonly Now: DateTimeOffset;
    readonly UtcNow: DateTimeOffset;
    readonly MinValue: DateTimeOffset;
    readonly MaxValue: DateTimeOffset;
    readonly UnixEpoch: DateTimeOffset;
    Parse(text: string): DateTimeOffset;
    FromUnixTimeSeconds(value: number): DateTimeOffset;
    FromUnixTimeMilliseconds(value: number): DateTimeOffset;
    Compare(a: DateTimeOffset, b: DateTimeOffset): number;
};

/** A globally unique id. */
declare class Guid {
    constructor(text?: string);
    static NewGuid(): Guid;
    static Parse(text: string): Guid;
    static readonly Empty: Guid;
    Equals(other: any): boolean;
    CompareTo(other: Guid): number;
    ToByteArray(): Uint8Array;
    ToString(format?: "D" | "N" | "B" | "P"): string;
}

/** Random numbers; a seed makes them repeatable. */
declare class Random {
    constructor(seed?: number);
    static readonly Shared: Random;
    NextDouble(): number;
    Next(maxValue?: number): number;
    Next(minValue: number, maxValue: number): number;
    NextInt64(maxValue?: number): number;
    NextInt64(minValue: number, maxValue: number): number;
    NextBytes(target: Uint8Array | number[]): void;
}

/** Whether the journal keeps a value. */
declare const LogPersistenceMode: {
    readonly Inherit: "Inherit";
    readonly Include: "Include";
    readonly Exclude: "Exclude";
    readonly Configuration: "Configuration";
};

/** Headers by name, each with one or more values. */
declare class HttpHeaders {
    constructor(headers?: { [name: string]: string | string[] });
    [name: string]: any;
    Add(name: string, value: string | string[]): void;
    readonly ContentType: string | null;
}

/** A file to answer with. */
declare class Downloadable {
    constructor(content: any, filename?: string | null, contentType?: string | null, eTag?: string | null);
    Content: any;
    Filename: string | null;
    ContentType: string | null;
    ETag: string | null;
}

/** Settings of retries, for the resilience strategy of an activity. */
declare class HttpResilienceStrategy {
    constructor(settings?: { [name: string]: any });
    [name: string]: any;
}

/** What an HTTP endpoint received. */
interface HttpRequest {
    method: string;
    path: string;
    queryString: string;
    query: { [name: string]: string[] };
    headers: { [name: string]: string[] };
    routeData: { [name: string]: string };
    content: any;
}

/** The answer to a request that was sent. */
interface HttpResponseMessage {
    statusCode: number;
    reasonPhrase: string;
    headers: { [name: string]: string[] };
    content?: any;
}

/** A file that was received or downloaded. */
interface HttpFile {
    name: string;
    fileName: string | null;
    contentType: string | null;
    size: number;
    /** The bytes as base64. */
    content: string;
}
