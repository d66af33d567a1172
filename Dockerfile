# Base images carry Node 24, the version that package.json pins.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The compiler needs no install scripts; neither does anything else here.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY proto ./proto
COPY schemas ./schemas
COPY --from=build /app/dist ./dist
# Weir writes to its stateDir only: ./data unless configured. Mount a volume there to keep it.
RUN mkdir data && chown node:node data
# A number, so that Kubernetes can tell that it is not root.
USER 1000:1000
EXPOSE 8686
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "dist/main.js"]
CMD ["run"]
