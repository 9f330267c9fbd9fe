use std::collections::HashMap;

use super::*;

/// Arguments separated by spaces (`␠` stands for a space inside one).
fn arguments(text: &str) -> Vec<String> {
    text.split(' ').map(|argument| argument.replace('␠', " ")).collect()
}

fn name_of(comm: &str, exe: &str, argv: &str, cwd: &str) -> Name {
    let files: HashMap<&str, &str> = HashMap::from([
        ("/srv/shop/package.json", r#"{"name":"shop-api","version":"1.0.0"}"#),
        ("/srv/scoped/package.json", r#"{"name":"@acme/cart"}"#),
        ("/srv/broken/package.json", "{"),
        ("/srv/nameless/package.json", r#"{"private":true}"#),
        ("/usr/lib/node_modules/npm/package.json", r#"{"name":"npm"}"#),
    ]);
    let argv = arguments(argv);
    let read = |path: &Path| files.get(path.to_str()?).map(|text| text.as_bytes().to_vec());
    let exe = (!exe.is_empty()).then(|| Path::new(exe));
    name(&Program { comm, exe, argv: &argv, cwd: Some(Path::new(cwd)), flask_app: Some("till.py"), read: &read })
}

/// (executable, arguments, working directory, name)
const TABLE: &[(&str, &str, &str, &str)] = &[
    // Python: scripts and modules
    ("/usr/bin/python3.11", "python3 /x/app.py", "/", "app"),
    ("/usr/bin/python3.11", "python3 -u -X dev -W ignore app.py --port 80", "/srv/x", "app"),
    ("/usr/bin/python3.11", "python3 -Wignore -Iu /x/my.service.py", "/", "my.service"),
    ("/usr/bin/python3.13t", "python /x/app.py", "/", "app"),
    ("/usr/bin/python3.11", "python3 /srv/shop/__main__.py", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /srv/shop", "/", "shop"),
    ("/usr/bin/python3.11", "python3 -m http.server 8000", "/", "http.server"),
    ("/usr/bin/python3.11", "python3 -um shop", "/", "shop"),
    ("/usr/bin/python3.11", "python3 -mshop.main", "/", "shop"),
    ("/usr/bin/python3.11", "python3 -m shop.__main__", "/", "shop"),
    ("/usr/bin/python3.11", "python3 -c import␠time", "/", "python3"),
    ("/usr/bin/python3.11", "python3", "/", "python3"),
    ("/usr/bin/python3.11", "python3 -", "/", "python3"),
    ("/usr/bin/python3.11", "/usr/bin/python3 /usr/local/bin/aider --model x", "/", "aider"),
    // Python: servers and their application
    ("/usr/bin/python3.11", "python3 -m uvicorn shop.main:app --port 8000", "/", "shop"),
    ("/usr/bin/python3.11", "/venv/bin/python /venv/bin/uvicorn --host 0.0.0.0 shop.main:app", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /venv/bin/uvicorn --factory src.shop.web:create_app", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /venv/bin/uvicorn main:app", "/srv/shop", "main"),
    ("/usr/bin/python3.11", "python3 /venv/bin/gunicorn -w 4 -k uvicorn.workers.UvicornWorker shop.api:app -b :80", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /venv/bin/gunicorn -b 0.0.0.0:80 shop.wsgi", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /venv/bin/gunicorn --name till shop:app", "/", "till"),
    ("/usr/bin/python3.11", "python3 /venv/bin/gunicorn shop:create_app()", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /venv/bin/hypercorn shop:app", "/", "shop"),
    ("/usr/bin/python3.11", "python3 -m flask --app shop.web run", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /venv/bin/flask --app=shop.py run", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /venv/bin/flask run", "/", "till"),
    ("/usr/bin/python3.11", "python3 /venv/bin/celery -A shop.tasks worker -c 4", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /venv/bin/celery worker", "/", "celery"),
    ("/usr/bin/python3.11", "python3 -m fastapi run shop.py", "/", "shop"),
    ("/usr/bin/python3.11", "python3 /venv/bin/streamlit run board.py", "/", "board"),
    ("/usr/bin/python3.11", "gunicorn:␠master␠[shop.main:app]", "/", "shop"),
    ("/usr/bin/python3.11", "gunicorn:␠worker␠[till]", "/", "till"),
    ("/usr/bin/uwsgi", "uwsgi --http :80 --module shop.wsgi:application", "/", "shop"),
    ("/usr/bin/uwsgi", "uwsgi --ini /etc/uwsgi.ini", "/", "uwsgi"),
    // JavaScript
    ("/usr/bin/node", "node server.js", "/srv/shop", "shop-api"),
    ("/usr/bin/node", "node --inspect -r dotenv/config dist/src/main.js", "/srv/shop", "shop-api"),
    ("/usr/bin/node", "node /srv/scoped/index.js", "/", "@acme/cart"),
    ("/usr/bin/node", "node server.js", "/srv/plain", "server"),
    ("/usr/bin/node", "node index.js", "/srv/plain", "plain"),
    ("/usr/bin/node", "node ../x/app.mjs", "/srv/plain", "app"),
    ("/usr/bin/node", "node app.js", "/srv/broken", "app"),
    ("/usr/bin/node", "node app.js", "/srv/nameless", "app"),
    ("/usr/bin/node", "node .", "/srv/plain", "plain"),
    ("/usr/bin/node", "node /srv/shop/node_modules/.bin/tsx src/server.ts", "/srv/shop", "shop-api"),
    ("/usr/bin/node", "node /usr/lib/node_modules/npm/bin/npm-cli.js ci", "/", "npm"),
    ("/usr/bin/node", "node /usr/lib/node_modules/@acme/agent/cli.js", "/", "@acme/agent"),
    ("/usr/bin/node", "node /usr/local/bin/claude", "/tmp", "claude"),
    ("/usr/bin/node", "node -e console.log(1)", "/", "node"),
    ("/usr/bin/node", "node", "/", "node"),
    ("/usr/bin/node", "npm␠run␠start", "/srv/shop", "shop-api"),
    ("/usr/bin/node", "npm␠run␠start", "/srv/plain", "npm"),
    ("/usr/bin/node", "next-server␠(v14.1.0)", "/srv/shop", "shop-api"),
    ("/usr/bin/node", "next-server␠(v14.1.0)", "/srv/plain", "next-server"),
    ("/usr/local/bin/deno", "deno run -A --unstable-kv main.ts", "/srv/plain", "main"),
    ("/usr/local/bin/deno", "deno serve --port=8000 shop.ts", "/", "shop"),
    ("/usr/local/bin/bun", "bun run server.ts", "/srv/shop", "shop-api"),
    ("/usr/local/bin/bun", "bun run start", "/srv/shop", "shop-api"),
    ("/usr/local/bin/bun", "bun shop.ts", "/srv/plain", "shop"),
    // Java
    ("/usr/lib/jvm/17/bin/java", "java -Xmx1g -jar foo-1.2.jar --server.port=80", "/", "foo"),
    ("/usr/lib/jvm/17/bin/java", "java -jar /opt/shop-web-2.0.1-SNAPSHOT.jar", "/", "shop-web"),
    ("/usr/lib/jvm/17/bin/java", "java -jar app.war", "/", "app"),
    ("/usr/lib/jvm/17/bin/java", "java -cp a.jar:b.jar -Dx=y com.acme.Main run", "/", "Main"),
    ("/usr/lib/jvm/17/bin/java", "java Main", "/", "Main"),
    ("/usr/lib/jvm/17/bin/java", "java -p mods -m com.acme.shop/com.acme.shop.Main", "/", "shop"),
    ("/usr/lib/jvm/17/bin/java", "java @args.txt", "/", "java"),
    // Ruby, PHP, .NET, shells
    ("/usr/bin/ruby3.1", "ruby bin/rails server", "/srv/shop", "shop"),
    ("/usr/bin/ruby3.1", "ruby bin/rails server", "/", "rails"),
    ("/usr/bin/ruby3.1", "ruby -I lib app.rb", "/", "app"),
    ("/usr/bin/ruby3.1", "puma␠6.4.0␠(tcp://0.0.0.0:3000)␠[shop]", "/", "shop"),
    ("/usr/bin/ruby3.1", "puma:␠cluster␠worker␠0:␠42␠[shop]", "/", "shop"),
    ("/usr/bin/ruby3.1", "sidekiq␠7.1.2␠shop␠[0␠of␠5␠busy]", "/", "shop"),
    ("/usr/bin/ruby3.1", "ruby -e sleep", "/", "ruby"),
    ("/usr/sbin/php-fpm8.2", "php-fpm:␠master␠process␠(/etc/php/8.2/fpm/php-fpm.conf)", "/", "php-fpm"),
    ("/usr/sbin/php-fpm8.2", "php-fpm:␠pool␠www", "/", "php-fpm"),
    ("/usr/sbin/php-fpm8.2", "php-fpm:␠pool␠shop", "/", "shop"),
    ("/usr/bin/php8.2", "php artisan serve", "/srv/shop", "shop"),
    ("/usr/bin/php8.2", "php -S 0.0.0.0:80 -t public", "/", "php"),
    ("/usr/bin/php8.2", "php -d memory_limit=1G worker.php", "/", "worker"),
    ("/usr/bin/dotnet", "dotnet /app/Shop.Web.dll --urls http://*:80", "/", "Shop.Web"),
    ("/usr/bin/dotnet", "dotnet exec --runtimeconfig x.json app.dll", "/", "app"),
    ("/usr/bin/dotnet", "dotnet run", "/", "dotnet"),
    ("/usr/bin/dash", "sh -e /x/run.sh now", "/", "run"),
    ("/usr/bin/bash", "bash -lc sleep␠1", "/", "bash"),
    ("/usr/bin/bash", "-bash", "/", "bash"),
    ("/usr/bin/perl", "perl -w /x/report.pl", "/", "report"),
    ("/usr/bin/perl", "perl -e 1", "/", "perl"),
    // Native programs
    ("/usr/sbin/nginx", "nginx:␠master␠process␠/usr/sbin/nginx␠-g␠daemon␠off;", "/", "nginx"),
    ("/usr/sbin/nginx", "nginx:␠worker␠process", "/", "nginx"),
    ("/usr/lib/postgresql/15/bin/postgres", "postgres:␠15/main:␠walwriter", "/", "postgres"),
    ("/usr/bin/redis-check-rdb", "/usr/bin/redis-server␠127.0.0.1:6379", "/", "redis-server"),
    ("/bin/busybox", "httpd -f", "/", "httpd"),
    ("/opt/go/shop-server", "./shop-server -port 80", "/", "shop-server"),
    ("/home/dev/.local/share/claude/versions/1.0.83", "claude -p hello", "/", "claude"),
    ("", "/usr/bin/curl -s http://x", "/", "curl"),
    ("", "/usr/bin/python3 /x/app.py", "/", "app"),
];

#[test]
fn programs_are_called_what_users_expect() {
    for (exe, argv, cwd, expected) in TABLE {
        let first = arguments(argv)[0].clone();
        let called =
            first.split([' ', ':']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default().trim_start_matches('-').to_owned();
        assert_eq!(name_of(&called, exe, argv, cwd), Name::Own((*expected).into()), "{exe} {argv}");
    }
}

#[test]
fn workers_go_by_their_parent() {
    let spawned = "/usr/bin/python3 -c from␠multiprocessing.spawn␠import␠spawn_main;␠spawn_main() --multiprocessing-fork";
    assert_eq!(name_of("python3", "/usr/bin/python3.11", spawned, "/"), Name::Parents("python3".into()));
    assert_eq!(name_of("celery", "/usr/bin/python3.11", "[celeryd:␠celery@host:ForkPoolWorker-1]", "/"), Name::Parents("celeryd".into()));
}

#[test]
fn a_renamed_main_thread_does_not_rename_the_program() {
    assert_eq!(name_of("worker-main", "/opt/shop", "/opt/shop", "/"), Name::Own("shop".into()));
    assert_eq!(name_of("kworker/0:1", "", "", "/"), Name::Own("kworker/0:1".into()));
}
