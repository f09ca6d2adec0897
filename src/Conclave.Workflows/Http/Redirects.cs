namespace Conclave.Workflows.Http;

/// <summary>Which URLs are sent to, and what becomes of a request that is redirected.</summary>
/// <remarks>Source: Fetch standard, "HTTP-redirect fetch".</remarks>
internal static class Redirects
{
    /// <summary>Where an answer redirects to; null when it is no redirect.</summary>
    public static string? LocationOf(HttpResponseMessage response) =>
        (int)response.StatusCode is 301 or 302 or 303 or 307 or 308
        && response.Headers.NonValidated.TryGetValues("Location", out var values) && values.Count > 0
            ? values.ToString()
            : null;

    /// <summary>The request that follows a redirect.</summary>
    /// <exception cref="OutboundHttpException">The redirect is not followed.</exception>
    public static OutboundRequest Follow(OutboundRequest request, int status, string location)
    {
        if (!Uri.TryCreate(request.Url, location, out var target))
            throw OutboundHttpException.Refused("http.bad_redirect", $"{request.Url.Host} redirects to '{location}', which is not a URL.");
        CheckUrl(target);
        if (request.Url.Scheme == Uri.UriSchemeHttps && target.Scheme == Uri.UriSchemeHttp)
        {
            throw OutboundHttpException.Refused(
                "http.insecure_redirect",
                $"{request.Url.Host} redirects from https to http://{target.Authority}, which would send the request in the clear. Use the http URL itself if that is meant.");
        }

        var rewritten = status switch
        {
            303 => request.Method is "GET" or "HEAD" ? request.Method : "GET",
            301 or 302 => request.Method == "POST" ? "GET" : request.Method,
            _ => request.Method,
        };
        var keepsBody = rewritten == request.Method;
        var isSameOrigin = request.Url.Scheme == target.Scheme && request.Url.Host == target.Host && request.Url.Port == target.Port;
        return request with
        {
            Method = rewritten,
            Url = target,
            Body = keepsBody ? request.Body : null,
            ContentType = keepsBody ? request.ContentType : null,
            Headers = [.. request.Headers.Where(h => (keepsBody || !IsOfBody(h.Key)) && (isSameOrigin || !IsCredential(h.Key)))],
        };
    }

    /// <summary>Checks that a URL is one that may be sent to at all.</summary>
    /// <exception cref="OutboundHttpException">It is not.</exception>
    public static void CheckUrl(Uri url)
    {
        if (Problem(url) is { } problem)
            throw OutboundHttpException.Refused("http.bad_url", problem);
    }

    /// <summary>What is wrong with a URL; null when it may be sent to.</summary>
    public static string? Problem(Uri? url)
    {
        if (url is not { OriginalString.Length: > 0 })
            return "The request has no URL.";
        if (!url.IsAbsoluteUri)
            return $"'{url.OriginalString}' is not a whole URL. Begin it with https:// or http://.";
        if (url.Scheme != Uri.UriSchemeHttp && url.Scheme != Uri.UriSchemeHttps)
            return $"The URL has the scheme '{url.Scheme}'; only http and https are sent to.";
        return url.UserInfo.Length > 0 ? $"The URL of {url.Host} contains a user name or password. Give them in the Authorization header instead." : null;
    }

    private static bool IsOfBody(string header) =>
        header.StartsWith("Content-", StringComparison.OrdinalIgnoreCase) || header.Equals("Idempotency-Key", StringComparison.OrdinalIgnoreCase);

    private static bool IsCredential(string header) =>
        header.Equals("Authorization", StringComparison.OrdinalIgnoreCase) || header.Equals("Cookie", StringComparison.OrdinalIgnoreCase);
}
