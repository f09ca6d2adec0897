using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Conclave.Workflows.Http;

/// <summary>Checks that a request was signed by somebody who knows the secret.</summary>
public static class WebhookSignature
{
    /// <summary>The Standard Webhooks specification: <c>webhook-id</c>, <c>webhook-timestamp</c>, <c>webhook-signature</c>.</summary>
    public const string StandardWebhooks = "StandardWebhooks";

    /// <summary>GitHub: <c>X-Hub-Signature-256</c>. It has no time, so that old requests pass too.</summary>
    public const string GitHub = "GitHub";

    /// <summary>Stripe: <c>Stripe-Signature</c>.</summary>
    public const string Stripe = "Stripe";

    /// <summary>Slack: <c>X-Slack-Signature</c> and <c>X-Slack-Request-Timestamp</c>.</summary>
    public const string Slack = "Slack";

    /// <summary>How old or early a signed request may be, unless the endpoint says otherwise.</summary>
    public static readonly TimeSpan DefaultTolerance = TimeSpan.FromMinutes(5);

    private const string SecretPrefix = "whsec_";
    private static readonly char[] LineBreaks = ['\r', '\n'];

    internal static string Schemes { get; } = string.Join(", ", StandardWebhooks, GitHub, Stripe, Slack);

    /// <summary>The scheme as it is spelled here; null for one that is not known.</summary>
    public static string? FindScheme(string? scheme) => scheme?.Trim().ToUpperInvariant() switch
    {
        "STANDARDWEBHOOKS" => StandardWebhooks,
        "GITHUB" => GitHub,
        "STRIPE" => Stripe,
        "SLACK" => Slack,
        _ => null,
    };

    /// <summary>
    /// Secrets that are separated by spaces or line breaks; those of <see cref="GitHub"/>, which people make up, by line breaks only: the words
    /// of a sentence must not become secrets of their own.
    /// </summary>
    public static IReadOnlyList<string> SplitSecrets(string? scheme, string? secrets) =>
        (secrets ?? "").Split(scheme == GitHub ? LineBreaks : null, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>What is wrong with a secret, without naming it; null when signatures can be checked with it.</summary>
    public static string? SecretProblem(string scheme, string secret)
    {
        if (scheme != StandardWebhooks)
            return null;
        if (secret.StartsWith("whpk_", StringComparison.Ordinal) || secret.StartsWith("whsk_", StringComparison.Ordinal))
            return "Ed25519 keys (whpk_…) are not supported, because .NET has no Ed25519. Ask the sender for a shared secret, whsec_….";
        return Key(scheme, secret) is null ? "A secret of Standard Webhooks is whsec_ and base64. Copy it again from the sender." : null;
    }

    /// <summary>Checks a request.</summary>
    /// <param name="scheme">One of the schemes here.</param>
    /// <param name="secrets">Secrets, one of which must fit.</param>
    /// <param name="tolerance">How far the sender's time may be off; not used by <see cref="GitHub"/>.</param>
    /// <param name="now">When the request arrived.</param>
    /// <param name="header">Finds a header; null when it is missing.</param>
    /// <param name="body">Body, byte by byte as it was received.</param>
    /// <returns>Why the request is refused, for its sender; null when it is good.</returns>
    public static string? Verify(
        string scheme, IReadOnlyList<string> secrets, TimeSpan tolerance, DateTimeOffset now, Func<string, string?> header, ReadOnlySpan<byte> body)
    {
        if (secrets.Count == 0)
            return "The endpoint has no secret to check signatures with. Its owner must set one.";
        return scheme switch
        {
            StandardWebhooks => VerifyStandard(secrets, tolerance, now, header, body),
            GitHub => header("X-Hub-Signature-256") is { } given
                ? Compare(scheme, secrets, "", body, [FromHex(given, "sha256=")])
                : Missing("X-Hub-Signature-256"),
            Stripe => VerifyStripe(secrets, tolerance, now, header, body),
            Slack => VerifySlack(secrets, tolerance, now, header, body),
            _ => $"The endpoint checks signatures by the scheme '{scheme}', which is not known. Its owner must choose another.",
        };
    }

    private static string? VerifyStandard(
        IReadOnlyList<string> secrets, TimeSpan tolerance, DateTimeOffset now, Func<string, string?> header, ReadOnlySpan<byte> body)
    {
        if (header("webhook-id") is not { Length: > 0 } id)
            return Missing("webhook-id");
        if (header("webhook-timestamp") is not { } timestamp)
            return Missing("webhook-timestamp");
        if (header("webhook-signature") is not { } given)
            return Missing("webhook-signature");
        // The parts of what is signed are joined by full stops: one inside would let a request pass for another.
        if (id.Contains('.', StringComparison.Ordinal))
            return "The header webhook-id contains a full stop, which Standard Webhooks does not allow.";
        if (TimeProblem(timestamp, "webhook-timestamp", tolerance, now) is { } problem)
            return problem;
        var signatures = given.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Where(s => s.StartsWith("v1,", StringComparison.Ordinal))
            .Select(s => FromBase64(s[3..]))
            .ToList();
        if (signatures.Count == 0 && given.Contains("v1a,", StringComparison.Ordinal))
            return "The request has an Ed25519 signature (v1a) only, which is not supported. Sign with a shared secret (v1).";
        return Compare(StandardWebhooks, secrets, $"{id}.{timestamp}.", body, signatures);
    }

    private static string? VerifyStripe(
        IReadOnlyList<string> secrets, TimeSpan tolerance, DateTimeOffset now, Func<string, string?> header, ReadOnlySpan<byte> body)
    {
        if (header("Stripe-Signature") is not { } given)
            return Missing("Stripe-Signature");
        string? timestamp = null;
        var signatures = new List<byte[]?>();
        foreach (var item in given.Split(',', StringSplitOptions.TrimEntries))
        {
            if (item.StartsWith("v1=", StringComparison.Ordinal))
                signatures.Add(FromHex(item, "v1="));
            else if (item.StartsWith("t=", StringComparison.Ordinal) && timestamp is not null)
                return "The header Stripe-Signature has more than one time.";
            else if (item.StartsWith("t=", StringComparison.Ordinal))
                timestamp = item[2..];
        }

        if (timestamp is null)
            return "The header Stripe-Signature has no time: t=<Unix seconds>.";
        return TimeProblem(timestamp, "Stripe-Signature", tolerance, now) ?? Compare(Stripe, secrets, $"{timestamp}.", body, signatures);
    }

    private static string? VerifySlack(
        IReadOnlyList<string> secrets, TimeSpan tolerance, DateTimeOffset now, Func<string, string?> header, ReadOnlySpan<byte> body)
    {
        if (header("X-Slack-Request-Timestamp") is not { } timestamp)
            return Missing("X-Slack-Request-Timestamp");
        if (header("X-Slack-Signature") is not { } given)
            return Missing("X-Slack-Signature");
        return TimeProblem(timestamp, "X-Slack-Request-Timestamp", tolerance, now)
            ?? Compare(Slack, secrets, $"v0:{timestamp}:", body, [FromHex(given, "v0=")]);
    }

    private static string? TimeProblem(string timestamp, string header, TimeSpan tolerance, DateTimeOffset now)
    {
        if (timestamp.Length > 15 || !long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
            return $"The time in the header {header} is not a number of Unix seconds.";
        var age = now.ToUnixTimeSeconds() - seconds;
        return Math.Abs(age) > tolerance.TotalSeconds
            ? string.Create(CultureInfo.InvariantCulture, $"The time in the header {header} is {Math.Abs(age)} seconds {(age > 0 ? "ago" : "ahead")}; at most {tolerance.TotalSeconds:0} are accepted. Check the clock, and sign each attempt anew.")
            : null;
    }

    /// <summary>Compares each signature with what each secret gives; all of them, so that the time taken says nothing.</summary>
    private static string? Compare(string scheme, IReadOnlyList<string> secrets, string prefix, ReadOnlySpan<byte> body, IReadOnlyList<byte[]?> signatures)
    {
        var isGood = false;
        var start = Encoding.UTF8.GetBytes(prefix);
        Span<byte> expected = stackalloc byte[HMACSHA256.HashSizeInBytes];
        foreach (var secret in secrets)
        {
            if (Key(scheme, secret) is not { } key)
                continue;
            using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
            hmac.AppendData(start);
            hmac.AppendData(body);
            hmac.GetHashAndReset(expected);
            foreach (var signature in signatures)
                isGood |= signature is not null && CryptographicOperations.FixedTimeEquals(expected, signature);
        }

        return isGood ? null : $"The signature does not fit the request ({scheme}). Check the secret, and that nothing between changes the body.";
    }

    private static byte[]? Key(string scheme, string secret)
    {
        if (scheme != StandardWebhooks)
            return Encoding.UTF8.GetBytes(secret);
        // A public key in the place of a shared secret would let everybody sign.
        if (secret.StartsWith("whpk_", StringComparison.Ordinal) || secret.StartsWith("whsk_", StringComparison.Ordinal))
            return null;
        var key = FromBase64(secret.StartsWith(SecretPrefix, StringComparison.Ordinal) ? secret[SecretPrefix.Length..] : secret);
        return key is { Length: > 0 } ? key : null;
    }

    private static byte[]? FromBase64(string text)
    {
        var bytes = new byte[(text.Length * 3 / 4) + 3];
        return Convert.TryFromBase64String(text, bytes, out var count) ? bytes[..count] : null;
    }

    private static byte[]? FromHex(string text, string prefix)
    {
        var bytes = new byte[HMACSHA256.HashSizeInBytes];
        return text.StartsWith(prefix, StringComparison.Ordinal) && text.Length == prefix.Length + (2 * bytes.Length)
            && Convert.FromHexString(text.AsSpan(prefix.Length), bytes, out _, out _) == System.Buffers.OperationStatus.Done ? bytes : null;
    }

    private static string Missing(string header) => $"The request is not signed: it has no header {header}.";
}
