using System.Text.Json;
using Conclave.Agents;
using Conclave.Agents.Actions;
using Conclave.Agents.Approvals;
using Conclave.Server.Accounts;
using Conclave.Server.Web.Forms;
using Microsoft.AspNetCore.Components;
using Radzen;

namespace Conclave.Server.Web.Inbox;

/// <summary>What is asked, and the ways to answer.</summary>
public sealed partial class ApprovalPanel
{
    private Approval? _approval;
    private IReadOnlyList<ApprovalEvent> _history = [];
    private IReadOnlyList<string> _deciders = [];
    private FormModel? _arguments;
    private FormModel? _form;
    private IDisposable? _watching;
    private string _agentName = "";
    private string _comment = "";
    private string _remark = "";
    private string _heir = "";
    private string _other = "";
    private bool _mayDecide;

    /// <summary>Id of the approval.</summary>
    [Parameter, EditorRequired]
    public string Id { get; set; } = "";

    [Inject]
    private AgentStore Agents { get; set; } = null!;

    /// <inheritdoc/>
    protected override string NoAnswer => "The database did not answer. Look below whether your decision was stored, and try again if it was not.";

    private string AgentName => _agentName.Length > 0 ? _agentName : _approval?.AgentId ?? "";

    private int Agreed => _approval!.Votes.Count(v => v.Verdict == ApprovalVerdict.Approve && v.ActionHash == _approval.CurrentHash);

    /// <summary>What would run with what is filled in; null while nothing differs, or cannot be read.</summary>
    private string? Draft
    {
        get
        {
            if (_arguments?.Read() is not { } arguments)
                return null;
            var action = JsonElement.Parse(_approval!.CurrentAction!);
            if (CanonicalJson.Text(arguments) == CanonicalJson.Text(action.GetProperty("arguments")))
                return null;
            var members = action.EnumerateObject().ToDictionary(m => m.Name, m => m.Name == "arguments" ? arguments : m.Value, StringComparer.Ordinal);
            return JsonSerializer.Serialize(members);
        }
    }

    private bool IsChanging => Draft is not null;

    private IEnumerable<JsonDiffRow> ChangesOf(string draft) => JsonDiff
        .Compare(JsonElement.Parse(_approval!.CurrentAction!).GetProperty("arguments"), JsonElement.Parse(draft).GetProperty("arguments"))
        .Where(r => r.Change != JsonChange.Same);

    private string WhyNot =>
        !May(Permissions.DecideApprovals) ? "Your account does not decide on approvals."
        : !_approval!.AllowsSelf && _approval.RequesterId == Me.Id ? "It is asked for on your behalf: somebody else has to decide."
        : _approval.Votes.Any(v => v.Person.Id == Me.Id && v.ActionHash == (_approval.CurrentHash ?? "")) ? "You have decided. Others have to decide as well."
        : "Others are asked to decide.";

    /// <inheritdoc/>
    protected override void Begin() => _watching = Watch.Look(Tenant, id =>
    {
        if (id is null || id == Id)
            Refresh();
    });

    /// <inheritdoc/>
    protected override async Task ReadAsync(CancellationToken cancellationToken)
    {
        if (!May(Permissions.ReadApprovals))
            return;
        var before = _approval?.CurrentHash;
        _approval = await Approvals.FindAsync(Tenant, Id, cancellationToken);
        _history = await Approvals.HistoryAsync(Tenant, Id, cancellationToken) ?? [];
        _mayDecide = May(Permissions.DecideApprovals) && await Approvals.WaitsForAsync(Tenant, Id, Me.Id, cancellationToken);
        if (_mayDecide || May(Permissions.ManageApprovals))
            _deciders = await Approvals.DecidersAsync(Tenant, cancellationToken);
        if (_approval is null)
            return;
        if (_approval.AgentId is { } agent && _agentName.Length == 0)
            _agentName = (await Agents.FindAsync(Tenant, agent, cancellationToken))?.Name ?? agent;
        if (_form is null && _approval.Form is { } schema)
            _form = FormModel.Of(JsonElement.Parse(schema), _approval.FormData is { } data ? JsonElement.Parse(data) : null);
        // What was filled in is of another action now.
        if (before is not null && before != _approval.CurrentHash && _arguments is not null && !IsBusy)
        {
            _arguments = null;
            Problem = "Somebody has changed the arguments. Look at them again.";
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _watching?.Dispose();
        base.Dispose(disposing);
    }

    private void Edit() => _arguments = FormModel.Of(
        _approval!.ArgumentsSchema is { } schema ? JsonElement.Parse(schema) : null, JsonElement.Parse(_approval.CurrentAction!).GetProperty("arguments"));

    private void DropEdit() => _arguments = null;

    private async Task DecideAsync(ApprovalVerdict verdict)
    {
        var isAgreeing = verdict != ApprovalVerdict.Reject;
        JsonElement? arguments = null;
        JsonElement? form = null;
        if (isAgreeing && _arguments is not null)
        {
            arguments = _arguments.Read();
            if (arguments is null)
                return;
        }

        if (isAgreeing && _form is not null)
        {
            form = _form.Read();
            if (form is null)
                return;
        }

        var decision = new ApprovalDecision(verdict)
        {
            ActionHash = _approval!.CurrentHash,
            Comment = Clean(_comment),
            Arguments = arguments,
            FormData = form,
        };
        await DoAsync(null, async () =>
        {
            await Approvals.DecideAsync(Tenant, Id, Me, decision, Leaving);
            (_arguments, _comment) = (null, "");
            Notifications.Notify(NotificationSeverity.Success, verdict switch { ApprovalVerdict.Approve => "Approved", ApprovalVerdict.Reject => "Rejected", _ => "Done" }, _approval.Title);
        });
    }

    private Task DelegateAsync() => DoAsync(null, async () =>
    {
        await Approvals.DelegateAsync(Tenant, Id, Me, _heir, Clean(_comment), Leaving);
        Notifications.Notify(NotificationSeverity.Success, "Handed on", _heir);
        (_heir, _comment) = ("", "");
    });

    private Task ReassignAsync() => DoAsync(Permissions.ManageApprovals, async () =>
    {
        await Approvals.ReassignAsync(Tenant, Id, Me, _other.Length > 0 ? [_other] : [], [], null, Leaving);
        _other = "";
    });

    private Task RemarkAsync() => DoAsync(null, async () =>
    {
        if (Clean(_remark) is { } remark)
            await Approvals.CommentAsync(Tenant, Id, Me, remark, Leaving);
        _remark = "";
    });

    private static string? Clean(string text) => text.Replace("\0", "", StringComparison.Ordinal).Trim() is { Length: > 0 } clean ? clean : null;

    private static string Describe(ApprovalEvent happened)
    {
        var by = happened.Actor is { } actor ? $" by {actor}" : "";
        return happened.Kind switch
        {
            "requested" => happened.Actor is null ? "Asked" : $"Asked for {happened.Actor}",
            "edited" => $"Arguments changed{by}",
            "voted" => $"{(Text(happened, "verdict") == "reject" ? "Refused" : "Agreed to")}{by}",
            "approved" => $"Approved{by}",
            "rejected" => $"Rejected{by}",
            "done" => $"Done{by}",
            "expired" => "Expired: nobody decided in time",
            "cancelled" => "Cancelled: the workflow no longer waits",
            "reopened" => "Open again: the workflow waits again",
            "commented" => $"Remark{by}",
            "delegated" => $"Handed on{by} to {Text(happened, "to")}",
            "reassigned" => $"Others asked{by}",
            "reminded" => "Reminder",
            "escalated" => "Others are asked as well",
            "used" => "The action was taken up",
            var other => other,
        };
    }

    private static string? Said(ApprovalEvent happened) => Text(happened, "comment") ?? Text(happened, "text");

    private static string? Text(ApprovalEvent happened, string name) =>
        happened.Data.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
