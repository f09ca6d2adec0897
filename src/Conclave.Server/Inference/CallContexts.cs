using System.Globalization;
using System.Security.Claims;
using Conclave.Inference;
using Conclave.Server.Accounts;
using Conclave.Server.Api;

namespace Conclave.Server.Inference;

/// <summary>Reads who makes a call, and what it may do, from a request's headers. All of them are in <c>docs/inference-api.md</c>.</summary>
internal static class CallContexts
{
    private const int LongestId = 255;

    /// <summary>The context of a request.</summary>
    /// <param name="context">The request; its caller is known.</param>
    /// <param name="session">The conversation, where the body names one.</param>
    /// <exception cref="InferenceException">A header makes no sense, or is not for this caller.</exception>
    public static CallContext Read(HttpContext context, string? session = null)
    {
        var headers = context.Request.Headers;
        // Whoever names an agent, an instance or a reservation spends its budget and its share.
        var isPlatform = context.User.Has(Permissions.ManageInference);
        return new CallContext
        {
            Tenant = context.Tenant(),
            AgentId = Trusted("x-conclave-agent"),
            InstanceId = Trusted("x-conclave-instance"),
            Reservation = Trusted("x-conclave-reservation") is { } reservation
                ? Guid.TryParse(reservation, out var id) ? id : throw Bad("x-conclave-reservation", "is not an id")
                : null,
            ApiKeyId = context.User.FindFirstValue(Credentials.KeyIdClaim) ?? context.User.FindFirstValue(ClaimTypes.NameIdentifier),
            Priority = Priority(),
            SessionId = Text("x-conclave-session") ?? session,
            ParentId = Text("x-conclave-parent"),
            Deadline = Deadline(),
            IdempotencyKey = Text("Idempotency-Key"),
            DataPolicy = Choice("x-conclave-data-policy", ("any", DataPolicy.Any), ("local-only", DataPolicy.LocalOnly)),
            MaxCost = MaxCost(),
            Cache = Choice("x-conclave-cache", ("off", CachePolicy.Off), ("use", CachePolicy.Use), ("refresh", CachePolicy.Refresh)),
            RequiredTags = Text("x-conclave-tags")?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [],
        };

        string? Text(string name) => headers[name].ToString() switch
        {
            "" => null,
            { Length: <= LongestId } text => text,
            _ => throw Bad(name, $"is longer than {LongestId} characters"),
        };

        string? Trusted(string name) => Text(name) is not { } text ? null : isPlatform ? text
            : throw new InferenceException(InferenceFailure.Forbidden, "inference.header_forbidden", $"The header {name} is only for callers with the right '{Permissions.ManageInference}'.");

        CallPriority Priority()
        {
            var priority = Choice("x-conclave-priority", ("", CallPriority.P2), ("P0", CallPriority.P0), ("P1", CallPriority.P1), ("P2", CallPriority.P2), ("P3", CallPriority.P3));
            return priority != CallPriority.P0 || isPlatform ? priority
                : throw new InferenceException(InferenceFailure.Forbidden, "inference.header_forbidden", $"The priority P0 is only for callers with the right '{Permissions.ManageInference}'.");
        }

        decimal? MaxCost()
        {
            if (Text("x-conclave-max-cost") is not { } text)
                return null;
            return decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var most) ? most : throw Bad("x-conclave-max-cost", "must be an amount such as 0.05");
        }

        DateTimeOffset? Deadline()
        {
            if (Text("x-conclave-timeout-ms") is not { } text)
                return null;
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) && milliseconds > 0
                ? context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow().AddMilliseconds(milliseconds)
                : throw Bad("x-conclave-timeout-ms", "must be a positive whole number of milliseconds");
        }

        T Choice<T>(string name, params ReadOnlySpan<(string Name, T Value)> choices)
        {
            if (Text(name) is not { } text)
                return choices[0].Value;
            foreach (var choice in choices)
            {
                if (choice.Name.Equals(text, StringComparison.OrdinalIgnoreCase))
                    return choice.Value;
            }

            var names = new List<string>();
            foreach (var choice in choices)
            {
                if (choice.Name.Length > 0)
                    names.Add(choice.Name);
            }

            throw Bad(name, $"must be one of {string.Join(", ", names)}");
        }
    }

    private static InferenceException Bad(string header, string problem) =>
        new(InferenceFailure.BadRequest, "inference.bad_request", $"The header {header} {problem}.") { Parameter = header };
}
