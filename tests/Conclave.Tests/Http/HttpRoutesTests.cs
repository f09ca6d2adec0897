using Conclave.Workflows.Http;

namespace Conclave.Tests.Http;

public sealed class HttpRoutesTests
{
    [Theory]
    [InlineData("orders", "orders", "")]
    [InlineData("/Orders/", "orders", "")]
    [InlineData("orders/new", "orders/new", "")]
    [InlineData("ORDERS/NEW", "orders/new", "")]
    [InlineData("orders/n%65w", "orders/new", "")]
    [InlineData("orders/%4Eew/", "orders/new", "")]
    [InlineData("orders/12", "orders/{id:int}", "id=12")]
    [InlineData("orders/-12", "orders/{id:int}", "id=-12")]
    [InlineData("orders/9999999999", "orders/{big:long}", "big=9999999999")]
    [InlineData("orders/true", "orders/{flag:bool}", "flag=true")]
    [InlineData("orders/0198c0de-0000-7000-8000-00000000abcd", "orders/{key:guid}", "key=0198c0de-0000-7000-8000-00000000abcd")]
    [InlineData("orders/Abc", "orders/{name}", "name=Abc")]
    [InlineData("orders/1 2", "orders/{name}", "name=1 2")]
    [InlineData("orders/%201", "orders/{name}", "name= 1")]
    [InlineData("orders/A%20b%2BC+d", "orders/{name}", "name=A b+C+d")]
    [InlineData("orders/%C3%9Cber", "orders/{name}", "name=Über")]
    [InlineData("orders/a%2Fb", "orders/{name}", "name=a/b")]
    [InlineData("orders%2Fnew", "{*rest}", "rest=orders/new")]
    [InlineData("orders/%2541", "orders/{name}", "name=%41")]
    [InlineData("orders/new/lines", "orders/{name}/lines", "name=new")]
    [InlineData("orders/new/x", "orders/{*rest}", "rest=new/x")]
    [InlineData("orders/A/B%2Fc//d", "orders/{*rest}", "rest=A/B/c//d")]
    [InlineData("files/file-A.b.TXT", "files/file-{name}.txt", "name=A.b")]
    [InlineData("files/a.tar.gz", "files/{name}.{extension}", "name=a.tar,extension=gz")]
    [InlineData("files/file-.txt", "files/{name}.{extension}", "name=file-,extension=txt")]
    [InlineData("files/.txt", "{*rest}", "rest=files/.txt")]
    [InlineData("other", "{*rest}", "rest=other")]
    [InlineData("", "{*rest}", "")]
    [InlineData("/", "{*rest}", "")]
    [InlineData("reports/2026", "reports/{year}/{month?}", "year=2026")]
    [InlineData("reports/2026/8", "reports/{year}/{month?}", "year=2026,month=8")]
    [InlineData("pages", "pages/{page:int=1}", "page=1")]
    [InlineData("pages/7", "pages/{page:int=1}", "page=7")]
    [InlineData("pages/x", "{*rest}", "rest=pages/x")]
    [InlineData("übersicht", "übersicht", "")]
    [InlineData("%C3%BCbersicht/1", "übersicht/{id}", "id=1")]
    [InlineData("%C3%9Cbersicht", "übersicht", "")]
    public void Find_Path_TakesTheBestRoute(string path, string expected, string values)
    {
        var table = Table(
            "orders", "orders/new", "orders/{name}", "orders/{id:int}", "orders/{big:long}", "orders/{key:guid}", "orders/{flag:bool}",
            "orders/{name}/lines", "orders/{*rest}", "{*rest}", "files/file-{name}.txt", "files/{name}.{extension}",
            "reports/{year}/{month?}", "pages/{page:int=1}", "übersicht/{id}", "übersicht");

        var match = Assert.Single(table.Find("GET", path).Matches);

        Assert.Equal((expected, values), (match.Path, string.Join(',', match.RouteData.OrderBy(v => v.Key == "extension").Select(v => $"{v.Key}={v.Value}"))));
        Assert.Equal([expected], match.Values.ToArray());
    }

    [Theory]
    [InlineData("a/../b")]
    [InlineData("a/%2e%2E/b")]
    [InlineData("a/.")]
    [InlineData("%2e")]
    [InlineData("..%2fb")]
    [InlineData("a%5C..%5Cb")]
    [InlineData("a\\..\\b")]
    [InlineData("a%00b")]
    [InlineData("a%0d%0ab")]
    [InlineData("a%C2%85b")]
    [InlineData("a\u0001b")]
    [InlineData("a%")]
    [InlineData("a%2")]
    [InlineData("a%zz")]
    [InlineData("a% 1")]
    [InlineData("a%+1")]
    [InlineData("a%u0041")]
    [InlineData("a%C3")]
    [InlineData("a%C0%AF")]
    [InlineData("a%ED%A0%80")]
    [InlineData("a%20\ud800")]
    public void Find_HostilePath_IsFoundNowhere(string path)
    {
        var table = Table("{*rest}", "{a}", "a/{b}", "{a}/{b}");

        var result = table.Find("GET", path);

        Assert.False(result.IsFound);
        Assert.False(result.IsMethodRefused);
    }

    [Fact]
    public void Find_VeryLongPath_IsAnsweredAtOnce()
    {
        var table = Table("{*rest}", "{a}/{b}/{c}/{d}x", "a-{b}-{c}-{d}-{e}-f");

        Assert.True(table.Find("GET", new string('a', 8192)).IsFound);
        Assert.True(table.Find("GET", new string('/', 8192)).IsFound);
        Assert.True(table.Find("GET", "a" + new string('-', 8000)).IsFound);
        Assert.False(table.Find("GET", new string('a', 8193)).IsFound);
    }

    [Theory]
    [InlineData("")]
    [InlineData("orders")]
    [InlineData("orders/1/2")]
    [InlineData("orders//")]
    [InlineData("//orders/1")]
    [InlineData("orders/x/lines")]
    public void Find_NobodyListens_IsEmpty(string path)
    {
        var result = Table("orders/{id}", "orders/{id:int}/lines").Find("GET", path);

        Assert.Equal((false, false), (result.IsFound, result.IsMethodRefused));
        Assert.Equal((false, false), (new HttpRoutes<string>().Find("GET", path).IsFound, result.IsMethodRefused));
    }

    [Fact]
    public void Find_OtherMethod_NamesTheOnesThatAreAllowed()
    {
        var table = new HttpRoutes<int>().AddRange([new("orders/{id}", "POST", 1), new("orders/new", "get", 2), new("orders/new", "DELETE", 3), new("a", "PUT", 4)]);

        var result = table.Find("PATCH", "orders/new");

        Assert.True(result.IsMethodRefused);
        Assert.Equal(["DELETE", "GET", "HEAD", "POST"], result.Allowed.ToArray());
        Assert.Equal(["PUT"], table.Find("GET", "a").Allowed.ToArray());
        Assert.Equal(["POST"], table.Find("GET", "orders/%31").Allowed.ToArray());
    }

    [Fact]
    public void Find_BestPathDoesNotListenForTheMethod_GoesOnToTheNext()
    {
        var table = new HttpRoutes<int>().AddRange([new("orders/new", "GET", 1), new("orders/{id}", "POST", 2), new("{*rest}", "DELETE", 3)]);

        Assert.Equal("orders/{id}", Assert.Single(table.Find("POST", "orders/new").Matches).Path);
        Assert.Equal("{*rest}", Assert.Single(table.Find("DELETE", "orders/new").Matches).Path);
    }

    [Fact]
    public void Find_LiteralLeadsNowhere_TriesTheParameter()
    {
        var table = Table("a/b/c", "a/{x}/d", "{y}/b/{*rest}", "a/b/{z:int}");

        Assert.Equal("a/{x}/d", table.Find("GET", "a/b/d").Matches[0].Path);
        Assert.Equal("{y}/b/{*rest}", table.Find("GET", "a/b/e").Matches[0].Path);
        Assert.Equal("a/b/{z:int}", table.Find("GET", "a/b/1").Matches[0].Path);
    }

    [Fact]
    public void Find_Head_FallsBackToGet()
    {
        var table = new HttpRoutes<int>().AddRange([new("a", "GET", 1), new("b", "GET", 2), new("b", "HEAD", 3), new("c", "POST", 4), new("d/{x}", "GET", 5)]);

        Assert.Equal(("get", 1), (table.Find("HEAD", "a").Matches[0].Method, table.Find("HEAD", "a").Matches[0].Values[0]));
        Assert.Equal(("head", 3), (table.Find("HEAD", "b").Matches[0].Method, table.Find("head", "b").Matches[0].Values[0]));
        Assert.Equal(["POST"], table.Find("HEAD", "c").Allowed.ToArray());
        Assert.Equal(5, table.Find("HEAD", "d/1").Matches[0].Values[0]);
    }

    [Fact]
    public void Find_PathsThatDifferInNamesOnly_AreBothFound()
    {
        var table = Table("orders/{number}", "orders/{id}");

        var matches = table.Find("GET", "orders/7").Matches;

        Assert.Equal(["orders/{id}", "orders/{number}"], matches.Select(m => m.Path));
        Assert.Equal(["id", "number"], matches.Select(m => m.RouteData.Keys.Single()));
    }

    [Fact]
    public void AddRemove_LeaveOtherTablesAlone()
    {
        HttpRoute<string>[] routes = [new("a", "GET", "1"), new("/A/", "get", "2"), new("a/{b}/c", "GET", "3"), new("a/{b?}", "GET", "4"), new("{*all}", "GET", "5")];
        var table = new HttpRoutes<string>().AddRange(routes);

        Assert.Equal(["1", "2"], table.Find("GET", "a").Matches[0].Values.ToArray());
        var less = table.Remove(routes[0]);
        Assert.Equal(["2"], less.Find("GET", "a").Matches[0].Values.ToArray());
        Assert.Equal(["1", "2"], table.Find("GET", "a").Matches[0].Values.ToArray());
        less = less.Remove(routes[1]);
        Assert.Equal(["4"], less.Find("GET", "a").Matches[0].Values.ToArray());
        less = less.Remove(routes[3]).Remove(routes[3]);
        Assert.Equal(["5"], less.Find("GET", "a").Matches[0].Values.ToArray());
        Assert.Equal(["3"], less.Find("GET", "a/x/c").Matches[0].Values.ToArray());
        less = less.Remove(routes[2]).Remove(routes[4]);
        Assert.False(less.Find("GET", "a/x/c").IsFound);
        Assert.False(less.Remove(new("never", "GET", "x")).Find("GET", "never").IsFound);
    }

    [Fact]
    public void Add_BadPath_IsRefused() => Assert.Throws<ArgumentException>(() => new HttpRoutes<int>().Add(new("a//b", "GET", 1)));

    [Fact]
    public void Find_LiteralAmongMany_AllocatesNothing()
    {
        var table = new HttpRoutes<int>().AddRange(Enumerable.Range(0, 1000).Select(i => new HttpRoute<int>($"callback/{i}", "POST", i)));
        Assert.Equal(500, table.Find("POST", "callback/500").Matches[0].Values[0]);
        var before = GC.GetAllocatedBytesForCurrentThread();

        for (var i = 0; i < 100; i++)
            table.Find("POST", "callback/500");

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static HttpRoutes<string> Table(params string[] paths) =>
        new HttpRoutes<string>().AddRange(paths.Select(p => new HttpRoute<string>(p, "GET", p)));
}
