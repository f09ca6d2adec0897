using Conclave.Workflows.Http;

namespace Conclave.Tests.Http;

public sealed class HttpEndpointPathTests
{
    [Theory]
    [InlineData("orders")]
    [InlineData("/Orders/{Id}/")]
    [InlineData("orders/{id:int}")]
    [InlineData("orders/{id:int:long}/lines/{line:guid}")]
    [InlineData("orders/{id?}")]
    [InlineData("orders/{id:int?}")]
    [InlineData("orders/{id=5}/{line?}")]
    [InlineData("orders/{id:int=5}")]
    [InlineData("{flag:bool}")]
    [InlineData("files/{*rest}")]
    [InlineData("files/{**rest}")]
    [InlineData("files/file-{name}.{extension}")]
    [InlineData("übersicht/a b")]
    public void Problem_GoodPath_IsNull(string path) => Assert.Null(HttpEndpointPath.Problem(path));

    [Theory]
    [InlineData(null, "no path")]
    [InlineData(" / ", "no path")]
    [InlineData("a//b", "empty part")]
    [InlineData("a/../b", "'..'")]
    [InlineData("./b", "'.'")]
    [InlineData("a?b=1", "'?'")]
    [InlineData("a#b", "'#'")]
    [InlineData("a\\b", "'\\'")]
    [InlineData("a\u0000b", "must not contain")]
    [InlineData("a\u0085b", "must not contain")]
    [InlineData("a/{b", "other half")]
    [InlineData("a/b}", "'}'")]
    [InlineData("a/{b{c}", "without a name")]
    [InlineData("a/{}", "without a name")]
    [InlineData("a/{:int}", "without a name")]
    [InlineData("a/{*}", "without a name")]
    [InlineData("{a}/{A}", "twice")]
    [InlineData("{a}{b}", "without text between")]
    [InlineData("{a:min(1)}", "'min(1)'")]
    [InlineData("{a:int:date}", "'date'")]
    [InlineData("{a:}", "''")]
    [InlineData("{a:int=x}", "default")]
    [InlineData("{a=1?}", "question mark")]
    [InlineData("{*a}/b", "Move it to the end")]
    [InlineData("{*a:int}", "no constraint")]
    [InlineData("{*a?}", "no constraint")]
    [InlineData("x{*a}", "segment of its own")]
    [InlineData("x{a?}", "segment of its own")]
    [InlineData("{a?}/b", "may be missing")]
    [InlineData("{a?}/{b}", "may be missing")]
    [InlineData("{a?}/{*b}", "may be missing")]
    public void Problem_BadPath_SaysWhatIsWrong(string? path, string part) =>
        Assert.Contains(part, HttpEndpointPath.Problem(path), StringComparison.Ordinal);

    [Fact]
    public void Problem_VeryLongPath_IsRefused()
    {
        Assert.Null(HttpEndpointPath.Problem(new string('a', 1000)));
        Assert.Contains("1,001 characters", HttpEndpointPath.Problem(new string('a', 1001)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/Orders/New/", "orders/new")]
    [InlineData("orders/{id}", "orders/{}")]
    [InlineData("orders/{number}", "orders/{}")]
    [InlineData("orders/{id?}", "orders/{}")]
    [InlineData("orders/{id=5}", "orders/{}")]
    [InlineData("orders/{id:int}", "orders/{:int}")]
    [InlineData("orders/{number:int?}", "orders/{:int}")]
    [InlineData("files/{*rest}", "files/{*}")]
    [InlineData("files/{**all}", "files/{*}")]
    [InlineData("file-{name}.{extension:int}", "file-{}.{:int}")]
    public void RouteKey_Path_HasNoNames(string path, string key) => Assert.Equal(key, HttpEndpointPath.RouteKey(path));

    [Fact]
    public void RouteKey_BadPath_IsRefused() =>
        Assert.Contains("other half", Assert.Throws<ArgumentException>(() => HttpEndpointPath.RouteKey("{a")).Message, StringComparison.Ordinal);
}
