import { describe, expect, test } from "vitest";
import { parseRecipe } from "../../../../builder/recipe/parse.ts";
import type { Step } from "../../../../builder/recipe/recipe.ts";

/** Plain Dockerfiles as people write them: title, text, steps (kind and number of lines), some of the image. */
const FILES: readonly (readonly [title: string, text: string, kinds: string, image: object])[] = [
  [
    "a Node service with a cached npm",
    `# syntax=docker/dockerfile:1.7
FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /usr/src/app
COPY package*.json ./
RUN --mount=type=cache,target=/root/.npm \\
    npm ci --omit=dev
COPY --chown=node:node . .
USER node
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=3s CMD node healthcheck.js || exit 1
CMD [ "node", "server.js" ]
`,
    "workdir copy run copy",
    { cmd: ["node", "server.js"], user: "node", workdir: "/usr/src/app", expose: ["3000/tcp"] },
  ],
  [
    "a Python web application",
    `FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONUNBUFFERED=1 \\
    PIP_NO_CACHE_DIR=off

RUN apt-get update \\
    # needed to build psycopg
    && apt-get install -y --no-install-recommends gcc libpq-dev \\
    && rm -rf /var/lib/apt/lists/*

WORKDIR /code
COPY requirements.txt /code/
RUN pip install -r requirements.txt
COPY . /code/
RUN addgroup --system app && adduser --system --ingroup app app
USER app
EXPOSE 8000
ENTRYPOINT ["gunicorn"]
CMD ["--bind", ":8000", "--workers", "3", "shop.wsgi:application"]
`,
    "run workdir copy run copy run",
    { entrypoint: ["gunicorn"], cmd: ["--bind", ":8000", "--workers", "3", "shop.wsgi:application"] },
  ],
  [
    "a Go program with build arguments",
    `ARG GO_VERSION=1.22
FROM golang:\${GO_VERSION}-alpine
ARG TARGETARCH
ARG VERSION=dev
RUN apk add --no-cache git ca-certificates && \\
    update-ca-certificates
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOARCH=\${TARGETARCH} go build -ldflags "-s -w -X main.version=\${VERSION}" -o /bin/app ./cmd/app
ENTRYPOINT ["/bin/app"]
`,
    "run workdir copy run copy run",
    { entrypoint: ["/bin/app"] },
  ],
  [
    "a static site behind nginx with its configuration in the file",
    `FROM nginx:1.27-alpine
LABEL org.opencontainers.image.title="site" \\
      org.opencontainers.image.licenses="MIT"
RUN rm /etc/nginx/conf.d/default.conf
COPY <<'EOF' /etc/nginx/conf.d/site.conf
server {
  listen 80;
  location / { try_files $uri $uri/ /index.html; }
}
EOF
COPY dist/ /usr/share/nginx/html/
STOPSIGNAL SIGQUIT
EXPOSE 80/tcp
CMD ["nginx", "-g", "daemon off;"]
`,
    "run copy copy",
    {
      labels: { "org.opencontainers.image.title": "site", "org.opencontainers.image.licenses": "MIT" },
      stopSignal: "SIGQUIT",
    },
  ],
  [
    "PHP with Apache and the old forms",
    `FROM php:8.3-apache
MAINTAINER Ops <ops@example.org>
ENV APACHE_DOCUMENT_ROOT /var/www/html/public
RUN docker-php-ext-install pdo_mysql opcache
RUN sed -ri -e 's!/var/www/html!\${APACHE_DOCUMENT_ROOT}!g' /etc/apache2/sites-available/*.conf
COPY --chown=www-data:www-data . /var/www/html
WORKDIR /var/www/html
ADD php.ini /usr/local/etc/php/
`,
    "run run copy workdir copy",
    { labels: { "org.opencontainers.image.authors": "Ops <ops@example.org>" } },
  ],
  [
    "a database initialised by a script in a heredoc",
    `FROM debian:bookworm-slim
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN <<EOF
groupadd --system --gid 999 postgres
useradd --system --uid 999 --gid postgres --home-dir /var/lib/postgresql postgres
install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data
EOF
ENV PG_MAJOR=16
ENV PATH=$PATH:/usr/lib/postgresql/$PG_MAJOR/bin PGDATA=/var/lib/postgresql/data
RUN apt-get update; \\
	apt-get install -y "postgresql-$PG_MAJOR"; \\
	rm -rf /var/lib/apt/lists/*
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["postgres"]
`,
    "run run copy",
    {
      entrypoint: ["docker-entrypoint.sh"],
      stopSignal: "SIGINT",
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/16/bin",
        PGDATA: "/var/lib/postgresql/data",
        PG_MAJOR: "16",
      },
    },
  ],
  [
    "Ruby on Rails with a secret for private gems",
    `# check=skip=JSONArgsRecommended
FROM ruby:3.3
ARG BUNDLE_WITHOUT="development test"
ENV RAILS_ENV=production BUNDLE_WITHOUT=\${BUNDLE_WITHOUT}
WORKDIR /rails
COPY Gemfile Gemfile.lock ./
RUN --mount=type=secret,id=bundle,target=/root/.bundle/config,required=false \\
    --mount=type=cache,target=/usr/local/bundle/cache,sharing=locked \\
    bundle install --jobs "$(nproc)"
COPY . .
RUN SECRET_KEY_BASE_DUMMY=1 ./bin/rails assets:precompile
CMD ./bin/rails server -b 0.0.0.0
`,
    "workdir copy run copy run",
    { cmd: ["/bin/sh", "-c", "./bin/rails server -b 0.0.0.0"] },
  ],
  [
    "Java with a wildcard and options in ENV",
    `FROM eclipse-temurin:21-jre
ENV JAVA_OPTS="-Xms256m -Xmx512m -XX:+UseG1GC" \\
    TZ='Etc/UTC'
RUN useradd -r -u 1001 spring
WORKDIR /opt/app
COPY --chmod=0644 target/*.jar app.jar
USER 1001:1001
EXPOSE 8080 8081
ENTRYPOINT exec java $JAVA_OPTS -jar app.jar
`,
    "run workdir copy",
    { entrypoint: ["/bin/sh", "-c", "exec java $JAVA_OPTS -jar app.jar"], user: "1001:1001" },
  ],
  [
    "a Windows-minded file with backticks and CRLF",
    `# escape=\`
FROM registry.example.org:5000/tools/build:2024\r
RUN make all \`\r
    && make install\r
COPY ["a file.txt", "C/dir/"]\r
`.replace("\n", "\r\n"),
    "run copy",
    {},
  ],
  [
    "a command-line tool on alpine with virtual packages and loops",
    `FROM alpine:3.20
RUN set -eux; \\
    apk add --no-cache --virtual .build-deps build-base; \\
    for f in /tmp/*.c; do \\
      [ -e "$f" ] || continue; \\
      cc -o "/usr/local/bin/$(basename "$f" .c)" "$f"; \\
    done; \\
    apk del .build-deps
RUN [ -x /usr/local/bin/tool ] && tool --version
RUN ["/bin/sh", "-c", "echo $((1 << 4))"]
ENTRYPOINT ["/usr/local/bin/tool"]
CMD ["--help"]
`,
    "run run run",
    { entrypoint: ["/usr/local/bin/tool"], cmd: ["--help"] },
  ],
];

const kindOf = (step: Step) => step.kind;

describe("plain Dockerfiles are recipes", () => {
  test.each(FILES)("%s", (_title, text, kinds, image) => {
    const recipe = parseRecipe(text, "shop/Dockerfile");
    expect(recipe.name).toBe("shop");
    expect(recipe.deploy).toBeUndefined();
    expect(recipe.bootstrap.map(kindOf).join(" ")).toBe(kinds);
    expect(recipe.image).toMatchObject(image);
  });
});
