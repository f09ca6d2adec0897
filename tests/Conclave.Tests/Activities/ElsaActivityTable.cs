namespace Conclave.Tests.Activities;

/// <summary>What Elsa 3.8's server says of its activities: the contract that definitions and designers rely on.</summary>
/// <remarks>
/// A line is <c>type | category | display name | kind and flags | ports | inputs | outputs</c>. A dash stands for what the contract leaves open. Ports with a star hold an
/// activity, the others are outcomes. Inputs are <c>Name:Type:editor</c>; the type ends in <c>!</c> when the value is plain JSON.
/// </remarks>
internal static class ElsaActivityTable
{
    public static IEnumerable<ElsaActivity> Rows { get; } =
        Text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => ElsaActivity.Parse(line.Split('|', StringSplitOptions.TrimEntries)));

    private const string Text = """
        Elsa.Workflow | Workflows | - | Action hidden | Root*(hidden) | | Result:Object
        Elsa.Flowchart | Flow | - | Action hidden container | Start*(hidden) | |
        Elsa.Sequence | Workflows | - | Action hidden container | | |
        Elsa.Parallel | Workflows | - | Action hidden container | | |
        Elsa.StateMachine | Flow | - | Action | | |
        Elsa.If | Branching | - | Action | Then* Else* | Condition:Boolean:singleline | Result:Boolean
        Elsa.FlowDecision | Branching | Decision | Action | True False | Condition:Boolean:singleline |
        Elsa.Switch | Branching | - | Action | Default* | Cases:-!:switch-editor Mode:-:dropdown | Output:-
        Elsa.FlowSwitch | Branching | Switch (flow) | Action | Default | Cases:-!:flow-switch-editor Mode:-:dropdown |
        Elsa.FlowFork | Branching | Fork (flow) | Action | | Branches:List<String>:dynamic-outcomes |
        Elsa.FlowJoin | Branching | Join | Action | | Mode:FlowJoinMode:dropdown |
        Elsa.Fork | Control Flow | - | Action hidden | | JoinMode:-!:dropdown |
        Elsa.FlowNode | Flow | Container | Action | Body* | |
        Elsa.Start | Flow | - | Action start | | |
        Elsa.End | Flow | - | Action terminal | | |
        Elsa.While | Looping | - | Action | Body* | Condition:Boolean:singleline |
        Elsa.For | Looping | - | Action | Body* | Start:Int32:singleline End:Int32:singleline Step:Int32:singleline OuterBoundInclusive:Boolean:checkbox | CurrentValue:-
        Elsa.ForEach | Looping | - | Action | Body* | Items:List<Object>:- | CurrentValue:-
        Elsa.ParallelForEach | Looping | - | Action | Body* | Items:Object:singleline |
        Elsa.Break | Looping | - | Action terminal | | |
        Elsa.Complete | Composition | - | Action terminal | | Outcomes:Object:outcome-picker |
        Elsa.Finish | Primitives | - | Action terminal | | |
        Elsa.Fault | Primitives | - | Action | | Code:String:singleline Category:String:singleline FaultType:String:singleline Message:String:singleline |
        Elsa.NotFoundActivity | System | - | Action hidden | | |
        Elsa.SetVariable | Primitives | - | Action | | Variable:-!:variable-picker Value:Object:singleline |
        Elsa.SetOutput | Composition | - | Action | | OutputName:String:output-picker OutputValue:Object:singleline |
        Elsa.SetName | Primitives | - | Action | | Value:String:singleline |
        Elsa.Correlate | Primitives | - | Action | | CorrelationId:String:singleline |
        Elsa.Event | Primitives | - | Trigger | | EventName:String:singleline | Result:Object
        Elsa.PublishEvent | Primitives | - | Action | | EventName:String:singleline CorrelationId:String:singleline IsLocalEvent:Boolean:checkbox Payload:Object:singleline |
        Elsa.RunTask | Primitives | - | Action | | TaskName:String:singleline Payload:ObjectDictionary:- | TaskId:String Result:Object
        Elsa.DispatchWorkflow | Composition | - | Action | | WorkflowDefinitionId:String:workflow-definition-picker CorrelationId:String:singleline Input:ObjectDictionary:- WaitForCompletion:Boolean:checkbox StartNewTrace:Boolean:checkbox ChannelName:String:dropdown | Result:Object
        Elsa.ExecuteWorkflow | Composition | - | Task | | WorkflowDefinitionId:String:workflow-definition-picker CorrelationId:String:singleline Input:ObjectDictionary:- WaitForCompletion:Boolean:checkbox | Result:-
        Elsa.BulkDispatchWorkflows | Composition | - | Task | ChildCompleted* ChildFaulted* Completed Canceled Done | WorkflowDefinitionId:String:workflow-definition-picker Items:Object:singleline DefaultItemInputKey:String:singleline CorrelationIdFunction:-:- Input:ObjectDictionary:- WaitForCompletion:Boolean:checkbox StartNewTrace:Boolean:checkbox ChannelName:String:dropdown |
        Elsa.RunJavaScript | Scripting | Run JavaScript | Action | | Script:-:code-editor PossibleOutcomes:List<String>:dynamic-outcomes | Result:Object
        Elsa.RunCSharp | Scripting | - | Action | | Script:-:code-editor PossibleOutcomes:List<String>:dynamic-outcomes | Result:-
        Elsa.RunPython | Scripting | - | Action | | Script:-:code-editor PossibleOutcomes:List<String>:dynamic-outcomes | Result:-
        Elsa.WriteLine | Console | - | Action | | Text:String:singleline |
        Elsa.ReadLine | Console | - | Action | | | Result:String
        Elsa.Delay | Scheduling | - | Action | | TimeSpan:TimeSpan:- |
        Elsa.Timer | Scheduling | - | Trigger | | Interval:TimeSpan:- |
        Elsa.Cron | Scheduling | - | Trigger | | CronExpression:String:- |
        Elsa.StartAt | Scheduling | - | Trigger | | DateTime:DateTimeOffset:- |
        Elsa.HttpEndpoint | HTTP | HTTP Endpoint | Trigger | | Path:String:singleline SupportedMethods:List<String>:checklist Authorize:Boolean:checkbox Policy:String:singleline RequestTimeout:TimeSpan?:- RequestSizeLimit:Int64?:- FileSizeLimit:Int64?:- AllowedFileExtensions:List<String>:multitext BlockedFileExtensions:List<String>:multitext AllowedMimeTypes:List<String>:multitext ExposeRequestTooLargeOutcome:Boolean!:checkbox ExposeFileTooLargeOutcome:Boolean!:checkbox ExposeInvalidFileExtensionOutcome:Boolean!:checkbox ExposeInvalidFileMimeTypeOutcome:Boolean!:checkbox | Result:HttpRequest ParsedContent:Object Files:- File:- RouteData:- QueryStringData:- Headers:-
        Elsa.WriteHttpResponse | HTTP | HTTP Response | Action | | StatusCode:-:dropdown Content:Object:singleline ContentType:String:dropdown ResponseHeaders:HttpHeaders:json-editor |
        Elsa.WriteFileHttpResponse | HTTP | HTTP File Response | Action | | ContentType:String:- Filename:String:- EntityTag:String:- Content:Object:- EnableResumableDownloads:Boolean:checkbox DownloadCorrelationId:String:- |
        Elsa.SendHttpRequest | HTTP | HTTP Request | Task resilient | UnmatchedStatusCode* FailedToConnect* Timeout* | Url:Uri:- Method:String:dropdown Content:Object:- ContentType:String:- Authorization:String:- DisableAuthorizationHeaderValidation:Boolean:checkbox RequestHeaders:HttpHeaders:json-editor EnableResiliency:Boolean:checkbox ExpectedStatusCodes:-!:http-status-codes | Result:HttpResponseMessage StatusCode:Int32 ParsedContent:Object ResponseHeaders:-
        Elsa.FlowSendHttpRequest | HTTP | HTTP Request (flow) | Task resilient | Unmatched_status_code Failed_to_connect Timeout Done | Url:Uri:- Method:String:dropdown Content:Object:- ContentType:String:- Authorization:String:- DisableAuthorizationHeaderValidation:Boolean:checkbox RequestHeaders:HttpHeaders:json-editor EnableResiliency:Boolean:checkbox ExpectedStatusCodes:List<Int32>:multitext | Result:HttpResponseMessage StatusCode:Int32 ParsedContent:Object ResponseHeaders:-
        Elsa.DownloadHttpFile | HTTP | Download File | Task resilient | Unmatched_status_code Failed_to_connect Timeout Done | Url:-:- Method:String:dropdown ExpectedStatusCodes:-:multitext Content:Object:- RequestContentType:String:- Authorization:String:- DisableAuthorizationHeaderValidation:Boolean:checkbox RequestHeaders:HttpHeaders:json-editor | Result:HttpFile Response:- StatusCode:Int32 ResponseContentStream:- ResponseContentBytes:- ResponseHeaders:- ResponseContentHeaders:-
        """;
}

/// <summary>A line of <see cref="ElsaActivityTable"/>.</summary>
internal sealed record ElsaActivity(string Type, string Category, string DisplayName, string[] Flags, ElsaPort[] Ports, ElsaInput[] Inputs, ElsaOutput[] Outputs)
{
    public static ElsaActivity Parse(string[] cells) => new(
        cells[0],
        cells[1],
        cells[2],
        Words(cells[3]),
        [.. Words(cells[4]).Select(p => new ElsaPort(p.Replace("(hidden)", "").TrimEnd('*').Replace('_', ' '), p.Contains('*'), p.EndsWith("(hidden)", StringComparison.Ordinal)))],
        [.. Words(cells[5]).Select(i => i.Split(':')).Select(i => new ElsaInput(i[0], i[1].TrimEnd('!'), i[2], !i[1].EndsWith('!')))],
        [.. Words(cells[6]).Select(o => o.Split(':')).Select(o => new ElsaOutput(o[0], o[1]))]);

    private static string[] Words(string cell) => cell.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}

internal sealed record ElsaPort(string Name, bool IsEmbedded, bool IsHidden);

internal sealed record ElsaInput(string Name, string Type, string Editor, bool IsWrapped);

internal sealed record ElsaOutput(string Name, string Type);
