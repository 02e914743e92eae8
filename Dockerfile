# A peerpost host in a container. It wants one writable folder, /data, for the config, the keys and the database;
# everything else may be read-only. docs/service.md says how it is set up.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No install scripts: they would only bring a second Node. What is native comes built.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run -s build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /opt/peerpost
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
# The status page is served as it is written.
COPY --from=build /build/src/api/page ./src/api/page
RUN install -d -m 0700 -o 1000 -g 1000 /data
# The user "node" of that image, as a number, so that it can be seen not to be root.
USER 1000:1000
VOLUME /data
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 \
  CMD ["node", "/opt/peerpost/dist/cli/main.js", "status", "--ready", "--config", "/data/host/host.toml"]
ENTRYPOINT ["node", "/opt/peerpost/dist/cli/main.js"]
CMD ["host", "--quiet", "--config", "/data/host/host.toml"]
